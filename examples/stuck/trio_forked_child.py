"""A trio program waits for a child that it forked, and the child waits for a go that nobody gives:
its memory holds copies of the parent's tasks, which do not run there."""

# /// script
# requires-python = ">=3.11"
# dependencies = ["trio"]
#
# [tool.peeps]
# root = "unknown"
# deadlock = false
# chains = [[["task", "*supervise"], ["thread", "join"], ["command"]]]
# ///

import multiprocessing
import multiprocessing.synchronize

import trio

context = multiprocessing.get_context("fork")


def measure(go: multiprocessing.synchronize.Event) -> None:
    print("stuck", flush=True)
    go.wait()


async def supervise() -> None:
    go = context.Event()
    child = context.Process(target=measure, args=(go,), daemon=True)
    child.start()
    await trio.to_thread.run_sync(child.join)
    go.set()


async def main() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervise)


trio.run(main)
