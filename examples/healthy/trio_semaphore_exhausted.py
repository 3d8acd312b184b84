"""Every path gives its courier back, also the cancelled order's."""

# /// script
# requires-python = ">=3.11"
# dependencies = ["trio"]
#
# [tool.peeps]
# forbidden = []
# ///

import trio


async def orders(couriers: trio.Semaphore) -> None:
    while True:
        with trio.move_on_after(0.004):
            async with couriers:
                await trio.sleep(0.005)


async def main() -> None:
    couriers = trio.Semaphore(3)
    async with trio.open_nursery() as nursery:
        for n in range(4):
            nursery.start_soon(orders, couriers, name=f"order-{n}")
        print("running", flush=True)


trio.run(main)
