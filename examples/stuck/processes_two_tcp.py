"""Two processes send each other a large batch over one connection, and each reads only after its
own batch is out. Once the kernel's buffers are full, both wait in drain for the other to read."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# root = "cycle"
# deadlock = true
# chains = [[["task", "exchange", "left"], ["socket+"], ["task", "exchange", "right"], ["socket+"]]]
# ///

import asyncio
import os
import socket
import subprocess
import sys

BATCH = b"x" * 64_000_000


async def exchange(fd: int) -> None:
    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=fd))
    writer.write(BATCH)
    print("stuck", flush=True)
    await writer.drain()
    await reader.readexactly(len(BATCH))


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
