"""Jobs run under a capacity limiter and start sub-jobs under the same limiter before they give
their token back. With as many jobs as tokens, each waits for its own children."""

# /// script
# requires-python = ">=3.11"
# dependencies = ["trio"]
#
# [tool.peeps]
# root = "cycle"
# deadlock = true
# chains = [[["task", "sub_job"], ["semaphore"], ["task", "job"], ["joinset"]]]
# ///

import trio

limiter = trio.CapacityLimiter(2)


async def sub_job() -> None:
    print("stuck", flush=True)
    async with limiter:
        pass


async def job() -> None:
    async with limiter:
        await trio.lowlevel.checkpoint()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sub_job)


async def main() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(job)
        nursery.start_soon(job)


trio.run(main)
