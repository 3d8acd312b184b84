"""Both threads of the pool run jobs that wait for a second job of the same pool. The second jobs
stand in the queue behind the first."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# root = "cycle"
# deadlock = true
# chains = [[["task", "report"], ["future"], ["thread", "render"], ["future"], ["executor"]]]
# ///

import asyncio
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="worker")
both_run = Barrier(2)


def load_font() -> bytes:
    return b"font"


def render() -> bytes:
    both_run.wait()
    font = pool.submit(load_font)
    print("stuck", flush=True)
    return font.result()


async def report() -> bytes:
    return await asyncio.get_running_loop().run_in_executor(pool, render)


async def main() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(report(), name="report-1")
        group.create_task(report(), name="report-2")


asyncio.run(main())
