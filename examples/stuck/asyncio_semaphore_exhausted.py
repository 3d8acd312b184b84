"""At most two downloads at a time, and both wait for a signal that comes only after all downloads
have started: the third never gets its turn, so the signal never comes."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# root = "unknown"
# deadlock = false
# chains = [
#     [["task", "third"], ["semaphore"], ["task", "first"], ["notify"]],
#     [["task", "third"], ["semaphore"], ["task", "second"], ["notify"]],
# ]
# ///

import asyncio


async def download(slots: asyncio.Semaphore, all_started: asyncio.Event, last: bool) -> None:
    if last:
        print("stuck", flush=True)
    async with slots:
        if last:
            all_started.set()
        await all_started.wait()


async def main() -> None:
    slots, all_started = asyncio.Semaphore(2), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for name in ("first", "second", "third"):
            group.create_task(download(slots, all_started, name == "third"), name=name)


asyncio.run(main())
