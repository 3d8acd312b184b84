"""A task holds a lock and waits for a worker thread; the thread calls back into trio for
something that needs the same lock."""

# /// script
# requires-python = ">=3.11"
# dependencies = ["trio"]
#
# [tool.peeps]
# root = "cycle"
# deadlock = true
# chains = [
#     [["task", "save"], ["thread", "write_file"], ["queue"], ["task", "next_number"], ["lock"]],
# ]
# ///

import trio

numbers = trio.Lock()


async def next_number() -> int:
    print("stuck", flush=True)
    async with numbers:
        return 1


def write_file() -> int:
    return trio.from_thread.run(next_number)


async def save() -> None:
    async with numbers:
        await trio.to_thread.run_sync(write_file, abandon_on_cancel=True)


async def main() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(save)


trio.run(main)
