"""A long computation in a coroutine that lets the loop turn every few hundred steps: busy, not
blocked."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# forbidden = [[["task", "websocket"], ["task"]]]
# ///

import asyncio


async def normalise() -> None:
    total = 0.0
    while True:
        for _ in range(500):
            total = (total + 0.1) % 1.0
        await asyncio.sleep(0)


async def websocket() -> None:
    while True:
        await asyncio.sleep(0.01)


async def main() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(websocket(), name="websocket")
        group.create_task(normalise(), name="normalise")
        print("running", flush=True)


asyncio.run(main())
