"""A fresh event for each round, set a moment later by the other task."""

# /// script
# requires-python = ">=3.11"
# dependencies = ["trio"]
#
# [tool.peeps]
# forbidden = [[["task", "set_later"], ["notify"]]]
# ///

import trio


async def set_later(event: trio.Event) -> None:
    await trio.sleep(0.005)
    event.set()


async def rounds() -> None:
    while True:
        async with trio.open_nursery() as nursery:
            event = trio.Event()
            nursery.start_soon(set_later, event)
            await event.wait()


print("running", flush=True)
trio.run(rounds)
