"""A worker of a process pool waits for an event that is set only after the pool has answered."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# root = "unknown"
# deadlock = false
# chains = [[["thread", "collect"], ["future"], ["executor"], ["command"]]]
# ///

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.synchronize import Event


def keep(ready: Event) -> None:
    global allowed
    allowed = ready


def compute(number: int) -> int:
    print("stuck", flush=True)
    allowed.wait()
    return number * number


def collect() -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    with ProcessPoolExecutor(1, context, keep, (ready,)) as pool:
        print(pool.submit(compute, 3).result())
        ready.set()


if __name__ == "__main__":
    collect()
