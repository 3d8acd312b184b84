"""The client is asynchronous; the server answers after a moment. Nothing blocks the loop."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# forbidden = [[["task", "health"], ["task"]]]
# ///

import asyncio


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.readline():
        await asyncio.sleep(0.005)
        writer.write(b"12\n")


async def price(host: str, port: int) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    while True:
        writer.write(b"PRICE book\n")
        await reader.readline()


async def health() -> None:
    while True:
        await asyncio.sleep(0.01)


async def main() -> None:
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with asyncio.TaskGroup() as group:
        group.create_task(health(), name="health")
        group.create_task(price(*server.sockets[0].getsockname()), name="price")
        print("running", flush=True)


asyncio.run(main())
