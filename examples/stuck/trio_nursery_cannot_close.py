"""A background poller was started in the request's nursery instead of the application's: the
request is done, and its nursery waits for a poller that runs for ever."""

# /// script
# requires-python = ">=3.11"
# dependencies = ["trio"]
#
# [tool.peeps]
# root = "sleeping"
# deadlock = false
# chains = [[["task", "handle_request"], ["joinset"], ["task", "poll_prices"], ["sleep"]]]
# ///

import trio


async def poll_prices() -> None:
    while True:
        await trio.sleep(3600)


async def handle_request() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(poll_prices)
        await trio.lowlevel.checkpoint()
        print("stuck", flush=True)


async def main() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(handle_request)


trio.run(main)
