"""The blocking call is in a thread, where it belongs; the loop turns."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# forbidden = [[["task", "ticker"], ["task"]]]
# ///

import asyncio
import time


async def handler() -> None:
    while True:
        await asyncio.to_thread(time.sleep, 0.05)


async def ticker() -> None:
    while True:
        await asyncio.sleep(0.01)


async def main() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(ticker(), name="ticker")
        group.create_task(handler(), name="handler")
        print("running", flush=True)


asyncio.run(main())
