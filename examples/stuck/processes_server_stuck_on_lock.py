"""A client waits for a server whose handler waits for a lock; the lock's holder sleeps. Nothing
is wrong in the client's process, nor in the handler."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# root = "sleeping"
# deadlock = false
# chains = [[
#     ["task", "ask", "client"], ["socket+"], ["task", "answer", "server"], ["lock"],
#     ["task", "compact", "server"], ["sleep"],
# ]]
# ///

import asyncio
import os
import socket
import subprocess
import sys

index_lock = asyncio.Lock()


async def compact() -> None:
    async with index_lock:
        await asyncio.sleep(3600)  # throttled, to be nice to the disk


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readline()
    print("stuck", flush=True)
    async with index_lock:
        writer.write(b"found\n")
    writer.close()


async def serve(listener: socket.socket) -> None:
    compaction = asyncio.create_task(compact())
    await asyncio.sleep(0)
    server = await asyncio.start_server(answer, sock=listener)
    await asyncio.gather(compaction, server.serve_forever())


async def ask(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"find\n")
    return await reader.readline()


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
