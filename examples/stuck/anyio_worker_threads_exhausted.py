"""A synchronous function in a worker thread calls back into the loop for something that needs a
worker thread too. With all workers busy like that, each waits for itself. (Web frameworks run
synchronous handlers so.)"""

# /// script
# requires-python = ">=3.11"
# dependencies = ["anyio"]
#
# [tool.peeps]
# root = "cycle"
# deadlock = true
# chains = [
#     [["task", "read_avatar"], ["semaphore"], ["task", "show_profile"], ["thread"], ["future"]],
# ]
# ///

import anyio
from anyio import from_thread, to_thread

workers = anyio.CapacityLimiter(1)


def decode() -> str:
    return "avatar"


async def read_avatar() -> str:
    print("stuck", flush=True)
    return await to_thread.run_sync(decode, limiter=workers)


def render() -> str:
    return from_thread.run(read_avatar)


async def show_profile() -> str:
    return await to_thread.run_sync(render, limiter=workers)


async def main() -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(show_profile, name="show_profile")


anyio.run(main)
