"""A task waits for an event that belongs to the object before the last reset()."""

# /// script
# requires-python = ">=3.11"
# dependencies = ["trio"]
#
# [tool.peeps]
# root = "unknown"
# deadlock = false
# chains = [[["task", "wait_until_ready"], ["notify"]]]
# ///

import trio
import trio.testing


class Device:
    def __init__(self) -> None:
        self.ready = trio.Event()

    def reset(self) -> None:
        self.ready = trio.Event()

    async def wait_until_ready(self) -> None:
        await self.ready.wait()


async def main() -> None:
    device = Device()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(device.wait_until_ready)
        await trio.testing.wait_all_tasks_blocked()
        device.reset()
        device.ready.set()
        print("stuck", flush=True)


trio.run(main)
