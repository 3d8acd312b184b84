"""The consumer logs its bad record and goes on: the queue is full now and then, and drains."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# forbidden = [[["queue"], ["task", "produce"]]]
# ///

import asyncio
import itertools


async def consume(queue: asyncio.Queue[str]) -> None:
    while True:
        text = await queue.get()
        try:
            int(text)
        except ValueError:
            await asyncio.sleep(0.001)


async def produce(queue: asyncio.Queue[str]) -> None:
    for n in itertools.count():
        await queue.put(f"record {n}")


async def main() -> None:
    queue: asyncio.Queue[str] = asyncio.Queue(maxsize=8)
    async with asyncio.TaskGroup() as group:
        group.create_task(consume(queue), name="consumer")
        group.create_task(produce(queue), name="producer")
        print("running", flush=True)


asyncio.run(main())
