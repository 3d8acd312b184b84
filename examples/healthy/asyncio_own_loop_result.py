"""Synchronous code asks the loop for a result from a thread of its own, and gets it."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# forbidden = [[["task", "look_up"], ["thread"]]]
# ///

import asyncio


async def look_up(name: str) -> str:
    await asyncio.sleep(0.005)
    return name.upper()


def look_up_sync(loop: asyncio.AbstractEventLoop) -> None:
    for _ in range(10):
        asyncio.run_coroutine_threadsafe(look_up("ada"), loop).result()


async def request() -> None:
    while True:
        await asyncio.to_thread(look_up_sync, asyncio.get_running_loop())


async def main() -> None:
    print("running", flush=True)
    await asyncio.create_task(request(), name="request")


asyncio.run(main())
