"""The inner call has a limiter of its own: workers are scarce, and everybody gets one."""

# /// script
# requires-python = ">=3.11"
# dependencies = ["anyio"]
#
# [tool.peeps]
# forbidden = []
# ///

import time

import anyio
from anyio import from_thread, to_thread

workers, decoders = anyio.CapacityLimiter(1), anyio.CapacityLimiter(1)


async def read_avatar() -> None:
    await to_thread.run_sync(time.sleep, 0.003, limiter=decoders)


def render() -> None:
    from_thread.run(read_avatar)


async def show_profile() -> None:
    while True:
        await to_thread.run_sync(render, limiter=workers)


async def main() -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(show_profile)
        group.start_soon(show_profile)
        print("running", flush=True)


anyio.run(main)
