"""The poller lives in the application's nursery; requests' nurseries close."""

# /// script
# requires-python = ">=3.11"
# dependencies = ["trio"]
#
# [tool.peeps]
# forbidden = [[["task", "handle_requests"], ["task", "poll_prices"]]]
# ///

import trio


async def poll_prices() -> None:
    while True:
        await trio.sleep(0.01)


async def handle_requests() -> None:
    while True:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep, 0.005)


async def main() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(poll_prices)
        nursery.start_soon(handle_requests)
        print("running", flush=True)


trio.run(main)
