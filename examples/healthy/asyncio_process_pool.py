"""Transfers in a fixed order of locks, and receipts printed by forked workers, of which one has
nothing to do: a worker has a copy of the event loop on its stack that does not run there."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# forbidden = [[["event_loop"], ["*"]], [["thread"], ["event_loop"]]]
# ///

import asyncio
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor

pool = ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork"))


def print_receipt() -> None:
    time.sleep(0.05)


async def transfer(first: asyncio.Lock, second: asyncio.Lock) -> None:
    while True:
        async with first:
            await asyncio.sleep(0.001)
            async with second:
                await asyncio.get_running_loop().run_in_executor(pool, print_receipt)


async def main() -> None:
    home, office = asyncio.Lock(), asyncio.Lock()
    async with asyncio.TaskGroup() as group:
        group.create_task(transfer(home, office), name="rent")
        group.create_task(transfer(home, office), name="salary")
        await asyncio.get_running_loop().run_in_executor(pool, print_receipt)
        print("running", flush=True)


asyncio.run(main())
