"""A worker thread calls back into trio for something under a lock that its own task does not
hold."""

# /// script
# requires-python = ">=3.11"
# dependencies = ["trio"]
#
# [tool.peeps]
# forbidden = []
# ///

import trio

numbers = trio.Lock()


async def next_number() -> int:
    async with numbers:
        await trio.sleep(0.003)
        return 1


def write_file() -> int:
    return trio.from_thread.run(next_number)


async def save() -> None:
    while True:
        await trio.to_thread.run_sync(write_file)


async def main() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(save)
        nursery.start_soon(save)
        print("running", flush=True)


trio.run(main)
