"""The worker says task_done in a finally, for good and bad jobs: join() returns each time."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# forbidden = []
# ///

import asyncio


async def worker(jobs: asyncio.Queue[int]) -> None:
    while True:
        job = await jobs.get()
        try:
            if job % 2:
                continue
            await asyncio.sleep(0.001)
        finally:
            jobs.task_done()


async def main() -> None:
    jobs: asyncio.Queue[int] = asyncio.Queue()
    task = asyncio.create_task(worker(jobs), name="worker")
    print("running", flush=True)
    while not task.done():
        for n in range(10):
            jobs.put_nowait(n)
        await jobs.join()


asyncio.run(main())
