"""Five tasks share two connections; responses are read to the end, so everybody gets a turn."""

# /// script
# requires-python = ">=3.11"
# dependencies = ["httpx"]
#
# [tool.peeps]
# forbidden = []
# ///

import asyncio

import httpx

REPLY = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.005)
        writer.write(REPLY)


async def prices(client: httpx.AsyncClient) -> None:
    while True:
        await client.get("/price")


async def main() -> None:
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    limits = httpx.Limits(max_connections=2)
    async with (
        httpx.AsyncClient(
            base_url=f"http://{host}:{port}", limits=limits, timeout=None, trust_env=False
        ) as client,
        asyncio.TaskGroup() as group,
    ):
        for n in range(5):
            group.create_task(prices(client), name=f"prices-{n}")
        print("running", flush=True)


asyncio.run(main())
