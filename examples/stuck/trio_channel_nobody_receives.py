"""The receiver of a memory channel stopped after the first message, but a clone of its end is
still open somewhere: the sender sees a full channel instead of a broken one."""

# /// script
# requires-python = ">=3.11"
# dependencies = ["trio"]
#
# [tool.peeps]
# root = "unknown"
# deadlock = false
# chains = [[["task", "send_metrics"], ["tx"], ["rx"]]]
# ///

import trio


async def send_metrics(metrics: trio.MemorySendChannel[int]) -> None:
    async with metrics:
        for n in range(100):
            if n == 5:
                print("stuck", flush=True)
            await metrics.send(n)


async def show_first(metrics: trio.MemoryReceiveChannel[int]) -> None:
    async with metrics:
        await metrics.receive()


async def main() -> None:
    send, receive = trio.open_memory_channel[int](4)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(send_metrics, send)
        nursery.start_soon(show_first, receive.clone())  # and `receive` itself stays open


trio.run(main)
