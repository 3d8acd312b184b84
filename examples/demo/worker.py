"""The shop's worker: an asyncio process that puts jobs into a queue and does one at a time.

Each job reserves its goods in the inventory.
"""

import asyncio
import json
import os
import sys

Job = tuple[str, "asyncio.Future[str]"]


async def consume(jobs: "asyncio.Queue[Job]", inventory_port: int) -> None:
    while True:
        name, done = await jobs.get()
        reader, writer = await asyncio.open_connection("127.0.0.1", inventory_port)
        writer.write(json.dumps({"reserve": name}).encode() + b"\n")
        answer = await reader.readline()
        writer.close()
        done.set_result(answer.decode())


async def main() -> None:
    jobs: asyncio.Queue[Job] = asyncio.Queue(maxsize=10)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        job = json.loads(await reader.readline())
        done: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        await jobs.put((job["job"], done))
        writer.write((await done).encode())
        await writer.drain()
        writer.close()

    consumer = asyncio.create_task(
        consume(jobs, int(os.environ["INVENTORY_PORT"])), name="consumer"
    )
    server = await asyncio.start_server(handle, "127.0.0.1", int(sys.argv[1]))
    async with server:
        await asyncio.gather(server.serve_forever(), consumer)


asyncio.run(main())
