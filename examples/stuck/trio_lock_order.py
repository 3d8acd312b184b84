"""Two tasks take two trio locks in opposite order."""

# /// script
# requires-python = ">=3.11"
# dependencies = ["trio"]
#
# [tool.peeps]
# root = "cycle"
# deadlock = true
# chains = [[["task", "backup"], ["lock"], ["task", "vacuum"], ["lock"]]]
# ///

import trio

catalogue, journal = trio.Lock(), trio.Lock()


async def backup() -> None:
    async with catalogue:
        await trio.lowlevel.checkpoint()
        print("stuck", flush=True)
        async with journal:
            pass


async def vacuum() -> None:
    async with journal:
        await trio.lowlevel.checkpoint()
        print("stuck", flush=True)
        async with catalogue:
            pass


async def main() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(backup)
        nursery.start_soon(vacuum)


trio.run(main)
