"""Three shards meet at a barrier of three, again and again; one is slower than the others."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# forbidden = []
# ///

import asyncio


async def compact(barrier: asyncio.Barrier, pause: float) -> None:
    while True:
        await asyncio.sleep(pause)
        await barrier.wait()


async def main() -> None:
    barrier = asyncio.Barrier(3)
    async with asyncio.TaskGroup() as group:
        for n in range(3):
            group.create_task(compact(barrier, n * 0.005), name=f"shard-{n}")
        print("running", flush=True)


asyncio.run(main())
