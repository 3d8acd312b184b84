"""A handler retries with time.sleep where it meant asyncio.sleep: the loop stands, and the
handlers beside it with it."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# root = "blocked_loop"
# deadlock = false
# chains = [[["task", "ticker"], ["event_loop"], ["task", "handler"]]]
# ///

import asyncio
import time


def call_with_retry() -> None:
    print("stuck", flush=True)
    time.sleep(3600)


async def handler() -> None:
    await asyncio.sleep(0)
    call_with_retry()


async def ticker() -> None:
    while True:
        await asyncio.sleep(0.01)


async def main() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(ticker(), name="ticker")
        group.create_task(handler(), name="handler")


asyncio.run(main())
