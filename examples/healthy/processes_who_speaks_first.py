"""An idle conversation: both ends of a connection listen all the time, as web sockets do, and talk
now and then. Each end waits for the other, and nothing is wrong."""

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


async def listen(reader: asyncio.StreamReader) -> None:
    await reader.readline()
    print("running", flush=True)
    while await reader.readline():
        pass


async def chat(fd: int) -> None:
    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=fd))
    listener = asyncio.create_task(listen(reader))
    while not listener.done():
        writer.write(b"hello\n")
        await asyncio.sleep(0.1)


def run_both() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        caller = socket.create_connection(listener.getsockname())
        callee, _ = listener.accept()
    children = []
    for name, end in (("caller", caller), ("callee", callee)):
        command = [sys.executable, __file__, str(end.fileno())]
        env = {**os.environ, "PEEPS_PROCESS_NAME": name}
        children.append(subprocess.Popen(command, pass_fds=[end.fileno()], env=env))
        end.close()
    for child in children:
        child.wait()


if len(sys.argv) == 1:
    run_both()
else:
    asyncio.run(chat(int(sys.argv[1])))
