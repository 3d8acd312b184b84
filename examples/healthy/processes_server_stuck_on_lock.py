"""A client of a server whose handler takes turns on a lock with a compaction that lets go of it."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# forbidden = [[["lock"], ["task", "nap"]]]
# ///

import asyncio
import os
import socket
import subprocess
import sys

index_lock = asyncio.Lock()


async def nap() -> None:
    await asyncio.sleep(0.005)


async def compact() -> None:
    while True:
        async with index_lock:
            await asyncio.sleep(0.002)
        await asyncio.create_task(nap())


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.readline():
        async with index_lock:
            writer.write(b"found\n")


async def serve(listener: socket.socket) -> None:
    server = await asyncio.start_server(answer, sock=listener)
    await asyncio.gather(compact(), server.serve_forever())


async def ask(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    print("running", flush=True)
    while True:
        writer.write(b"find\n")
        await reader.readline()


def run_both() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    children = []
    for name, argument in (("server", listener.fileno()), ("client", listener.getsockname()[1])):
        command = [sys.executable, __file__, name, str(argument)]
        env = {**os.environ, "PEEPS_PROCESS_NAME": name}
        children.append(subprocess.Popen(command, pass_fds=[listener.fileno()], env=env))
    listener.close()
    for child in children:
        child.wait()


if len(sys.argv) == 1:
    run_both()
elif sys.argv[1] == "server":
    asyncio.run(serve(socket.socket(fileno=int(sys.argv[2]))))
else:
    asyncio.run(ask(int(sys.argv[2])))
