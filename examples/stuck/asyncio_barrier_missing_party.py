"""A barrier for three shards; the configuration lists only two, so the third never arrives."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# root = "unknown"
# deadlock = false
# chains = [[["task", "shard-a"], ["barrier"]], [["task", "shard-b"], ["barrier"]]]
# ///

import asyncio

SHARDS = 3


async def compact(barrier: asyncio.Barrier, last: bool) -> None:
    if last:
        print("stuck", flush=True)
    await barrier.wait()


async def main() -> None:
    barrier = asyncio.Barrier(SHARDS)
    async with asyncio.TaskGroup() as group:
        for name in ("shard-a", "shard-b"):
            group.create_task(compact(barrier, name == "shard-b"), name=name)


asyncio.run(main())
