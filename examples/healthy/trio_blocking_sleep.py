"""Blocking work in trio's threads; the run turns."""

# /// script
# requires-python = ">=3.11"
# dependencies = ["trio"]
#
# [tool.peeps]
# forbidden = [[["task", "blink"], ["task"]]]
# ///

import time

import trio


async def blink() -> None:
    while True:
        await trio.sleep(0.01)


async def calibrate() -> None:
    while True:
        await trio.to_thread.run_sync(time.sleep, 0.05)


async def main() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(blink)
        nursery.start_soon(calibrate)
        print("running", flush=True)


trio.run(main)
