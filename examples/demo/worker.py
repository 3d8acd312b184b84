"""The shop's worker: an asyncio process that puts jobs into a queue and does one at a time.

Each job reserves its goods in the inventory; whoever sent it gets the answer.
"""

import asyncio
import json
import os
import sys

Job = tuple[str, asyncio.StreamWriter]


async def consume(jobs: "asyncio.Queue[Job]") -> None:
    while True:
        name, client = await jobs.get()
        reader, writer = await asyncio.open_connection("127.0.0.1", os.environ["INVENTORY_PORT"])
        writer.write(json.dumps({"reserve": name}).encode() + b"\n")
        answer = await reader.readline()
        writer.close()
        client.write(answer)
        client.close()


async def main() -> None:
    jobs: asyncio.Queue[Job] = asyncio.Queue(maxsize=10)

    async def take(reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        job = json.loads(await reader.readline())
        await jobs.put((job["job"], client))

    consumer = asyncio.create_task(consume(jobs), name="consumer")
    server = await asyncio.start_server(take, "127.0.0.1", int(sys.argv[1]))
    async with server:
        await asyncio.gather(server.serve_forever(), consumer)


asyncio.run(main())
