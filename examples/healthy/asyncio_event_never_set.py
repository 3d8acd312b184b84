"""A signal between two tasks: one waits, the other sets it a little later and clears it again."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# forbidden = [[["notify"], ["task", "wait"]]]
# ///

import asyncio


async def wait(event: asyncio.Event) -> None:
    while True:
        await event.wait()
        event.clear()


async def main() -> None:
    event = asyncio.Event()
    waiter = asyncio.create_task(wait(event), name="waiter")
    print("running", flush=True)
    while not waiter.done():
        await asyncio.sleep(0.01)
        event.set()


asyncio.run(main())
