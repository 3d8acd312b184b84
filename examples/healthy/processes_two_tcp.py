"""Two processes send each other large batches over one connection, and read while they write."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# forbidden = []
# ///

import asyncio
import os
import socket
import subprocess
import sys

BATCH = b"x" * 4_000_000


async def send(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(BATCH)
        await writer.drain()


async def receive(reader: asyncio.StreamReader) -> None:
    await reader.readexactly(len(BATCH))
    print("running", flush=True)
    while await reader.read(1_000_000):
        await asyncio.sleep(0.01)


async def exchange(fd: int) -> None:
    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=fd))
    async with asyncio.TaskGroup() as group:
        group.create_task(send(writer))
        group.create_task(receive(reader))


def run_both() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        left = socket.create_connection(listener.getsockname())
        right, _ = listener.accept()
    children = []
    for name, end in (("left", left), ("right", right)):
        command = [sys.executable, __file__, str(end.fileno())]
        env = {**os.environ, "PEEPS_PROCESS_NAME": name}
        children.append(subprocess.Popen(command, pass_fds=[end.fileno()], env=env))
        end.close()
    for child in children:
        child.wait()


if len(sys.argv) == 1:
    run_both()
else:
    asyncio.run(exchange(int(sys.argv[1])))
