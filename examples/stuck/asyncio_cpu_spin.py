"""A coroutine normalises numbers in a loop whose exit condition a rounding error keeps from
coming true. It never awaits, so nothing else on its loop runs."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# root = "blocked_loop"
# deadlock = false
# chains = [[["task", "websocket"], ["event_loop"], ["task", "normalise"]]]
# ///

import asyncio


async def normalise() -> float:
    await asyncio.sleep(0)
    print("stuck", flush=True)
    total, weight = 0.0, 0.1
    while total != 1.0:
        total += weight
        if total > 1.0:
            total = 0.0
    return total


async def websocket() -> None:
    await asyncio.Event().wait()


async def main() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(websocket(), name="websocket")
        group.create_task(normalise(), name="normalise")


asyncio.run(main())
