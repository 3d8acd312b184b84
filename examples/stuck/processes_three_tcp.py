"""Three nodes start up in a ring over raw TCP. While it starts, each holds its start lock and
asks its neighbour "are you ready?"; the neighbour's answer needs the neighbour's start lock."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# root = "cycle"
# deadlock = true
# chains = [[
#     ["task", "start", "node-0"], ["socket+"], ["task", "answer", "node-1"], ["lock"],
#     ["task", "start", "node-1"], ["socket+"], ["task", "answer", "node-2"], ["lock"],
#     ["task", "start", "node-2"], ["socket+"], ["task", "answer", "node-0"], ["lock"],
# ]]
# ///

import asyncio
import os
import socket
import subprocess
import sys

starting = asyncio.Lock()


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readline()
    print("stuck", flush=True)
    async with starting:
        writer.write(b"ready\n")
    writer.close()


async def start(listener: socket.socket, neighbour_port: int) -> None:
    async with starting:
        server = await asyncio.start_server(answer, sock=listener)
        reader, writer = await asyncio.open_connection("127.0.0.1", neighbour_port)
        writer.write(b"are you ready?\n")
        await reader.readline()
    await server.serve_forever()


def run_all() -> None:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    ports = [listener.getsockname()[1] for listener in listeners]
    children = []
    for n, listener in enumerate(listeners):
        command = [sys.executable, __file__, str(listener.fileno()), str(ports[(n + 1) % 3])]
        env = {**os.environ, "PEEPS_PROCESS_NAME": f"node-{n}"}
        children.append(subprocess.Popen(command, pass_fds=[listener.fileno()], env=env))
        listener.close()
    for child in children:
        child.wait()


if len(sys.argv) == 1:
    run_all()
else:
    asyncio.run(start(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])))
