"""More jobs than threads, none of which waits for another job of its pool."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# forbidden = [[["thread", "render"], ["future"]]]
# ///

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="worker")


def render() -> None:
    time.sleep(0.01)


async def report() -> None:
    while True:
        await asyncio.get_running_loop().run_in_executor(pool, render)


async def main() -> None:
    async with asyncio.TaskGroup() as group:
        for n in range(5):
            group.create_task(report(), name=f"report-{n}")
        print("running", flush=True)


asyncio.run(main())
