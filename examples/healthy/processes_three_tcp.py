"""Three nodes in a ring over raw TCP ask each other "are you ready?" all the time; each answers
under a lock that it does not keep while it asks."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# forbidden = [[["lock"], ["task", "ask"]]]
# ///

import asyncio
import os
import socket
import subprocess
import sys

state_lock = asyncio.Lock()


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.readline():
        async with state_lock:
            await asyncio.sleep(0.002)
            writer.write(b"ready\n")


async def ask(listener: socket.socket, neighbour_port: int) -> None:
    server = await asyncio.start_server(answer, sock=listener)
    reader, writer = await asyncio.open_connection("127.0.0.1", neighbour_port)
    print("running", flush=True)
    while server.is_serving():
        writer.write(b"are you ready?\n")
        await reader.readline()


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
    asyncio.run(ask(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])))
