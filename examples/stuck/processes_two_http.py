"""Two services over HTTP. Orders keeps its lock while it calls payments, and payments calls
orders back for the address, which needs the lock."""

# /// script
# requires-python = ">=3.11"
# dependencies = ["httpx", "starlette", "uvicorn"]
#
# [tool.peeps]
# root = "cycle"
# deadlock = true
# chains = [[
#     ["task", "place_order", "orders"], ["socket+"], ["task", "charge", "payments"],
#     ["socket+"], ["task", "address", "orders"], ["lock"],
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

order_lock = asyncio.Lock()
client = httpx.AsyncClient(timeout=None, trust_env=False)


async def fetch(path: str) -> Response:
    return PlainTextResponse((await client.get(f"http://{OTHER}{path}")).text)


async def place_order(request: Request) -> Response:
    async with order_lock:
        return await fetch("/charge")


async def charge(request: Request) -> Response:
    return await fetch("/address")


async def address(request: Request) -> Response:
    print("stuck", flush=True)
    async with order_lock:
        return PlainTextResponse("1 Main Street")


def run_both() -> None:
    listeners = {name: socket.create_server(("127.0.0.1", 0)) for name in ("orders", "payments")}
    at = {name: "{}:{}".format(*s.getsockname()) for name, s in listeners.items()}
    children = []  # they end with the terminal's Ctrl-C
    for name, other in (("orders", "payments"), ("payments", "orders")):
        fd = listeners[name].fileno()
        command = [sys.executable, __file__, str(fd), at[other]]
        env = {**os.environ, "PEEPS_PROCESS_NAME": name}
        children.append(subprocess.Popen(command, pass_fds=[fd], env=env))
    httpx.get(f"http://{at['orders']}/order", timeout=None, trust_env=False)


if len(sys.argv) == 1:
    run_both()
else:
    fd, OTHER = int(sys.argv[1]), sys.argv[2]
    routes = [Route("/order", place_order), Route("/charge", charge), Route("/address", address)]
    uvicorn.run(Starlette(routes=routes), fd=fd, log_level="warning")
