"""An early return skips the release: after three cancelled orders the semaphore is empty and
nobody holds it."""

# /// script
# requires-python = ">=3.11"
# dependencies = ["trio"]
#
# [tool.peeps]
# root = "unknown"
# deadlock = false
# chains = [[["task", "order"], ["semaphore"]]]
# ///

import trio


async def order(couriers: trio.Semaphore, cancelled: bool) -> None:
    if couriers.value == 0:
        print("stuck", flush=True)
    await couriers.acquire()
    if cancelled:
        return
    couriers.release()


async def main() -> None:
    couriers = trio.Semaphore(3)
    async with trio.open_nursery() as nursery:
        for n in range(4):
            nursery.start_soon(order, couriers, True, name=f"order-{n}")


trio.run(main)
