"""An idle pipeline: the consumer waits for work that comes every now and then. Waiting on an empty
queue is a consumer's way of life."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# forbidden = [[["task", "ingest"], ["queue"]]]
# ///

import asyncio


async def upload(queue: asyncio.Queue[bytes]) -> None:
    while True:
        await queue.get()


async def ingest(queue: asyncio.Queue[bytes]) -> None:
    while True:
        await queue.put(b"sample")
        await asyncio.sleep(0.02)


async def main() -> None:
    queue: asyncio.Queue[bytes] = asyncio.Queue(maxsize=4)
    async with asyncio.TaskGroup() as group:
        group.create_task(upload(queue))
        group.create_task(ingest(queue))
        print("running", flush=True)


asyncio.run(main())
