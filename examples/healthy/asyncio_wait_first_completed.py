"""Whichever replica answers first wins; one of them waits for a lock that the asker's neighbour
keeps, the other answers. An OR wait with one open branch is not stuck."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# forbidden = []
# ///

import asyncio

directory = asyncio.Lock()


async def replica() -> str:
    async with directory:
        return "address"


async def quick_replica() -> str:
    await asyncio.sleep(0.005)
    return "address"


async def ask() -> None:
    async with directory:
        while True:
            tasks = [
                asyncio.create_task(replica(), name="blocked-replica"),
                asyncio.create_task(quick_replica(), name="quick-replica"),
            ]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            tasks[0].cancel()


async def main() -> None:
    print("running", flush=True)
    await asyncio.create_task(ask(), name="ask")


asyncio.run(main())
