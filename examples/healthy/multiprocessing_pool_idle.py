"""Two pools have done all their work; their processes wait for more."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# forbidden = []
# ///

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor


def compute(number: int) -> int:
    return number * number


def main() -> None:
    forked = ProcessPoolExecutor(2, multiprocessing.get_context("fork"))
    spawned = ProcessPoolExecutor(2, multiprocessing.get_context("spawn"))
    for pool in (forked, spawned):
        assert sum(pool.map(compute, range(4))) == 14
    print("running", flush=True)
    while True:
        time.sleep(1)


if __name__ == "__main__":
    main()
