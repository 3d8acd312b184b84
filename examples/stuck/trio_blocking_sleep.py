"""time.sleep in a trio task: the whole run stands."""

# /// script
# requires-python = ">=3.11"
# dependencies = ["trio"]
#
# [tool.peeps]
# root = "blocked_loop"
# deadlock = false
# chains = [[["task", "blink"], ["event_loop"], ["task", "calibrate"]]]
# ///

import time

import trio


async def blink() -> None:
    while True:
        await trio.sleep(0.01)


async def calibrate() -> None:
    await trio.sleep(0.02)
    print("stuck", flush=True)
    time.sleep(3600)


async def main() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(blink)
        nursery.start_soon(calibrate)


trio.run(main)
