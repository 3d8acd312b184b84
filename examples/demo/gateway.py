"""The shop's front door: an asyncio HTTP server.

POST /order asks the worker to do it, one order at a time (self.checkout). GET /price answers
what something costs; prices must not change during a checkout, so it takes the same lock.
"""

import asyncio
import json
import os
import sys


class Gateway:
    def __init__(self, worker_port: int) -> None:
        self.worker_port = worker_port
        self.checkout = asyncio.Lock()

    async def order(self) -> str:
        async with self.checkout:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.worker_port)
            writer.write(b'{"job": "pack the order"}\n')
            answer = await reader.readline()
            writer.close()
            return answer.decode()

    async def price(self) -> str:
        async with self.checkout:
            return json.dumps({"price": 42})

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        _, path, _ = request.split(b"\r\n")[0].split()
        body = await (self.order() if path == b"/order" else self.price())
        writer.write(
            f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
            + body.encode()
        )
        await writer.drain()
        writer.close()


async def main() -> None:
    gateway = Gateway(int(os.environ["WORKER_PORT"]))
    server = await asyncio.start_server(gateway.handle, "127.0.0.1", int(sys.argv[1]))
    async with server:
        await server.serve_forever()


asyncio.run(main())
