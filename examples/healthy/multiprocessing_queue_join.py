"""The parent takes the results before it joins the child."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# forbidden = []
# ///

import multiprocessing


def compute(results: "multiprocessing.Queue[bytes]") -> None:
    for _ in range(1000):
        results.put(b"x" * 1_000_000)


def collect() -> None:
    context = multiprocessing.get_context("spawn")
    results = context.Queue(maxsize=1)
    child = context.Process(target=compute, args=(results,))
    child.start()
    results.get()
    print("running", flush=True)
    for _ in range(999):
        results.get()
    child.join()


if __name__ == "__main__":
    while True:
        collect()
