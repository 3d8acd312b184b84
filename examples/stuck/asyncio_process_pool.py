"""Two transfers hold what the other wants, each having had its receipt printed by a forked worker:
one deadlock, although the workers have copies of the tasks and the locks."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# root = "cycle"
# deadlock = true
# chains = [[["task", "rent"], ["lock"], ["task", "salary"], ["lock"]]]
# ///

import asyncio
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor

pool = ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork"))


def print_receipt() -> None:
    time.sleep(0.05)


async def transfer(first: asyncio.Lock, second: asyncio.Lock) -> None:
    async with first:
        await asyncio.get_running_loop().run_in_executor(pool, print_receipt)
        print("stuck", flush=True)
        async with second:
            pass


async def main() -> None:
    home, office = asyncio.Lock(), asyncio.Lock()
    async with asyncio.TaskGroup() as group:
        group.create_task(transfer(home, office), name="rent")
        group.create_task(transfer(office, home), name="salary")


asyncio.run(main())
