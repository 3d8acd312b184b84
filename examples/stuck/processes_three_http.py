"""Three services ask each other in a ring, each under its own lock ("one request at a time, to be
safe"). The third call comes back to the first service and waits for the lock of the first
call."""

# /// script
# requires-python = ">=3.11"
# dependencies = ["httpx", "starlette", "uvicorn"]
#
# [tool.peeps]
# root = "cycle"
# deadlock = true
# chains = [[
#     ["task", "quote", "prices"], ["socket+"], ["task", "quote", "stock"], ["socket+"],
#     ["task", "quote", "suppliers"], ["socket+"], ["task", "quote", "prices"], ["lock"],
# ]]
# ///

import asyncio
import os
import socket
import subprocess
import sys

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

NAMES = ("prices", "stock", "suppliers")
one_at_a_time = asyncio.Lock()
client = httpx.AsyncClient(timeout=None, trust_env=False)


async def quote(request: Request) -> Response:
    if one_at_a_time.locked():
        print("stuck", flush=True)
    async with one_at_a_time:
        return PlainTextResponse((await client.get(NEXT_URL)).text)


def run_all() -> None:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in NAMES]
    urls = ["http://{}:{}/".format(*listener.getsockname()) for listener in listeners]
    children = []  # they end with the terminal's Ctrl-C
    for n, (name, listener) in enumerate(zip(NAMES, listeners, strict=True)):
        command = [sys.executable, __file__, str(listener.fileno()), urls[(n + 1) % 3]]
        env = {**os.environ, "PEEPS_PROCESS_NAME": name}
        children.append(subprocess.Popen(command, pass_fds=[listener.fileno()], env=env))
    httpx.get(urls[0], timeout=None, trust_env=False)


if len(sys.argv) == 1:
    run_all()
else:
    fd, NEXT_URL = int(sys.argv[1]), sys.argv[2]
    uvicorn.run(Starlette(routes=[Route("/", quote)]), fd=fd, log_level="warning")
