"""A full queue with a consumer that is alive but sleeps between records: the producer's wait
leads through the queue; the queue itself does not know its consumer, who waits elsewhere."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# root = "unknown"
# deadlock = false
# chains = [[["task", "ingest"], ["queue"]]]
# also = [[["task", "upload"], ["sleep"]]]
# ///

import asyncio


async def upload(queue: asyncio.Queue[bytes]) -> None:
    while True:
        await queue.get()
        await asyncio.sleep(3600)  # polite to the rate limit


async def ingest(queue: asyncio.Queue[bytes]) -> None:
    while True:
        if queue.full():
            print("stuck", flush=True)
        await queue.put(b"sample")


async def main() -> None:
    queue: asyncio.Queue[bytes] = asyncio.Queue(maxsize=4)
    async with asyncio.TaskGroup() as group:
        group.create_task(upload(queue))
        group.create_task(ingest(queue))


asyncio.run(main())
