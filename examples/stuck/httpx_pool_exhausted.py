"""Two streamed responses are kept open and never read to the end; the client's pool has two
connections, so the third request waits for one of them."""

# /// script
# requires-python = ">=3.11"
# dependencies = ["httpx"]
#
# [tool.peeps]
# root = "unknown"
# deadlock = false
# chains = [[["task", "latest_price"], ["pool|notify"]]]
# ///

import asyncio

import httpx

REPLY = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n"


async def endless_report(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(REPLY)
    await reader.read()
    writer.close()


async def latest_price(client: httpx.AsyncClient) -> int:
    print("stuck", flush=True)
    return (await client.get("/price")).status_code


async def main() -> None:
    server = await asyncio.start_server(endless_report, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    limits = httpx.Limits(max_connections=2)
    async with httpx.AsyncClient(
        base_url=f"http://{host}:{port}", limits=limits, timeout=None, trust_env=False
    ) as client:
        for path in ("/report/1", "/report/2"):
            await client.send(client.build_request("GET", path), stream=True)
        await asyncio.create_task(latest_price(client), name="latest_price")


asyncio.run(main())
