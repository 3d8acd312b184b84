"""Two tasks, two trio locks, one order for everybody."""

# /// script
# requires-python = ">=3.11"
# dependencies = ["trio"]
#
# [tool.peeps]
# forbidden = []
# ///

import trio

catalogue, journal = trio.Lock(), trio.Lock()


async def work() -> None:
    while True:
        async with catalogue:
            await trio.sleep(0.002)
            async with journal:
                await trio.sleep(0.002)


async def main() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(work, name="backup")
        nursery.start_soon(work, name="vacuum")
        print("running", flush=True)


trio.run(main)
