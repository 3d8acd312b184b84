"""A worker skips bad jobs with `continue` and so never says task_done for them: join() waits for
a count that cannot reach zero, while the worker waits for the next job."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# root = "unknown"
# deadlock = false
# chains = [[["task", "main"], ["queue"]]]
# also = [[["task", "worker"], ["queue"]]]
# ///

import asyncio


async def worker(jobs: asyncio.Queue[int]) -> None:
    while True:
        job = await jobs.get()
        if job % 2:
            continue
        jobs.task_done()


async def main() -> None:
    jobs: asyncio.Queue[int] = asyncio.Queue()
    for n in range(10):
        jobs.put_nowait(n)
    task = asyncio.create_task(worker(jobs), name="worker")
    print("stuck", flush=True)
    await jobs.join()
    task.cancel()


asyncio.run(main())
