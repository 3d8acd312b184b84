"""On uvloop: one task holds the connection's lock while it reads from a server that says nothing;
the others queue up behind the lock."""

# /// script
# requires-python = ">=3.11"
# dependencies = ["uvloop"]
#
# [tool.peeps]
# root = "external"
# deadlock = false
# chains = [[["task", "second"], ["lock"], ["task", "first"], ["socket"]]]
# ///

import asyncio
import socket

import uvloop


class Client:
    def __init__(self) -> None:
        self.lock = asyncio.Lock()

    async def ask(self, address: tuple[str, int], last: bool) -> bytes:
        if last:
            print("stuck", flush=True)
        async with self.lock:
            reader, writer = await asyncio.open_connection(*address)
            writer.write(b"ping\n")
            return await reader.readline()


async def main() -> None:
    # Nobody accepts: the kernel completes the connection by itself.
    listener = socket.create_server(("127.0.0.1", 0))
    client = Client()
    async with asyncio.TaskGroup() as group:
        group.create_task(client.ask(listener.getsockname(), False), name="first")
        await asyncio.sleep(0.01)
        group.create_task(client.ask(listener.getsockname(), True), name="second")


uvloop.run(main())
