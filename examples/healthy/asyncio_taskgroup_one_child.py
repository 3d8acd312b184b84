"""The heartbeat is cancelled when the work in its group is done, and the group closes."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# forbidden = []
# ///

import asyncio


async def heartbeat() -> None:
    while True:
        await asyncio.sleep(0.001)


async def main() -> None:
    print("running", flush=True)
    while True:
        async with asyncio.TaskGroup() as group:
            beating = group.create_task(heartbeat(), name="heartbeat")
            await group.create_task(asyncio.sleep(0.005))
            beating.cancel()


asyncio.run(main())
