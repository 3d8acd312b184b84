"""The consumer died of its first bad record; nobody noticed, since nobody awaits it. The producer
fills the queue and waits for room for ever."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# root = "unknown"
# deadlock = false
# chains = [[["task", "produce"], ["queue"]]]
# ///

import asyncio
import itertools


async def consume(queue: asyncio.Queue[str]) -> None:
    while True:
        int(await queue.get())


async def produce(queue: asyncio.Queue[str]) -> None:
    for n in itertools.count():
        if queue.full():
            print("stuck", flush=True)
        await queue.put(f"record {n}")


async def main() -> None:
    queue: asyncio.Queue[str] = asyncio.Queue(maxsize=8)
    consumer = asyncio.create_task(consume(queue), name="consumer")
    await asyncio.create_task(produce(queue), name="producer")
    await consumer


asyncio.run(main())
