"""Two slots and four downloads that give theirs back after a moment: somebody always waits for a
slot, nobody for ever."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# forbidden = [[["semaphore"], ["task", "observer"]]]
# ///

import asyncio


async def download(slots: asyncio.Semaphore) -> None:
    while True:
        async with slots:
            await asyncio.sleep(0.005)


async def observer(slots: asyncio.Semaphore) -> None:
    while True:
        slots.locked()
        await asyncio.sleep(0.01)


async def main() -> None:
    slots = asyncio.Semaphore(2)
    async with asyncio.TaskGroup() as group:
        for n in range(4):
            group.create_task(download(slots), name=f"download-{n}")
        group.create_task(observer(slots), name="observer")
        print("running", flush=True)


asyncio.run(main())
