"""The parent joins a child that still has results to deliver: the child's feeder thread waits for
room in the pipe, and the parent reads only after the join."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# root = "unknown"
# deadlock = false
# chains = [[["thread", "collect"], ["command"]]]
# ///

import multiprocessing


def compute(results: "multiprocessing.Queue[bytes]") -> None:
    results.put(b"x" * 1_000_000)
    print("stuck", flush=True)


def collect() -> bytes:
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    child = context.Process(target=compute, args=(results,))
    child.start()
    child.join()
    return results.get()


if __name__ == "__main__":
    collect()
