"""Jobs and sub-jobs have limiters of their own: a job's children wait for each other, never for
their parents."""

# /// script
# requires-python = ">=3.11"
# dependencies = ["trio"]
#
# [tool.peeps]
# forbidden = []
# ///

import trio

jobs, sub_jobs = trio.CapacityLimiter(2), trio.CapacityLimiter(1)


async def sub_job() -> None:
    async with sub_jobs:
        await trio.sleep(0.003)


async def job() -> None:
    while True:
        async with jobs, trio.open_nursery() as nursery:
            nursery.start_soon(sub_job)
            nursery.start_soon(sub_job)


async def main() -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(job)
        print("running", flush=True)


trio.run(main)
