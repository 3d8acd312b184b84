"""On uvloop: several tasks take turns on one connection, and the server answers."""

# /// script
# requires-python = ">=3.11"
# dependencies = ["uvloop"]
#
# [tool.peeps]
# forbidden = []
# ///

import asyncio

import uvloop


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.readline():
        await asyncio.sleep(0.003)
        writer.write(b"pong\n")


async def main() -> None:
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    lock = asyncio.Lock()

    async def ask() -> None:
        while True:
            async with lock:
                writer.write(b"ping\n")
                await reader.readline()

    async with asyncio.TaskGroup() as group:
        for n in range(3):
            group.create_task(ask(), name=f"ask-{n}")
        print("running", flush=True)


uvloop.run(main())
