"""A full memory channel with a receiver that takes its time and takes everything."""

# /// script
# requires-python = ">=3.11"
# dependencies = ["trio"]
#
# [tool.peeps]
# forbidden = []
# ///

import itertools

import trio


async def send_metrics(metrics: trio.MemorySendChannel[int]) -> None:
    async with metrics:
        for n in itertools.count():
            await metrics.send(n)


async def show(metrics: trio.MemoryReceiveChannel[int]) -> None:
    async for _ in metrics:
        await trio.sleep(0.002)


async def main() -> None:
    send, receive = trio.open_memory_channel[int](4)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(send_metrics, send)
        nursery.start_soon(show, receive)
        print("running", flush=True)


trio.run(main)
