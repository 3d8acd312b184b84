"""Three services ask each other in a ring that ends: the third one answers by itself."""

# /// script
# requires-python = ">=3.11"
# dependencies = ["httpx", "starlette", "uvicorn"]
#
# [tool.peeps]
# forbidden = []
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
    hops = int(request.query_params["hops"])
    async with one_at_a_time:
        if hops == 0:
            await asyncio.sleep(0.005)
            return PlainTextResponse("12")
        return PlainTextResponse((await client.get(f"{NEXT_URL}?hops={hops - 1}")).text)


def run_all() -> None:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in NAMES]
    urls = ["http://{}:{}/".format(*listener.getsockname()) for listener in listeners]
    children = []  # they end with the terminal's Ctrl-C
    for n, (name, listener) in enumerate(zip(NAMES, listeners, strict=True)):
        command = [sys.executable, __file__, str(listener.fileno()), urls[(n + 1) % 3]]
        env = {**os.environ, "PEEPS_PROCESS_NAME": name}
        children.append(subprocess.Popen(command, pass_fds=[listener.fileno()], env=env))
    with httpx.Client(timeout=None, trust_env=False) as caller:
        caller.get(f"{urls[0]}?hops=2")
        print("running", flush=True)
        while True:
            caller.get(f"{urls[0]}?hops=2")


if len(sys.argv) == 1:
    run_all()
else:
    fd, NEXT_URL = int(sys.argv[1]), sys.argv[2]
    uvicorn.run(Starlette(routes=[Route("/", quote)]), fd=fd, log_level="warning")
