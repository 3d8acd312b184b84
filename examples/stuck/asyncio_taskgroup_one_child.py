"""A task group whose work is done except for a heartbeat that was started in the same group: the
block cannot end while the heartbeat beats."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# root = "sleeping"
# deadlock = false
# chains = [[["task", "main"], ["joinset"], ["task", "heartbeat"], ["sleep"]]]
# ///

import asyncio


async def heartbeat() -> None:
    while True:
        await asyncio.sleep(3600)


async def work(n: int) -> int:
    await asyncio.sleep(0)
    return n * n


async def main() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(heartbeat(), name="heartbeat")
        for n in range(5):
            await group.create_task(work(n))
        print("stuck", flush=True)
    print("unreachable")


asyncio.run(main())
