"""A job of a one-thread pool submits another job to that pool and waits for it."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# root = "cycle"
# deadlock = true
# chains = [[["thread", "build"], ["future"], ["executor"]]]
# ///

from concurrent.futures import ThreadPoolExecutor

pool = ThreadPoolExecutor(max_workers=1)


def compile_part() -> str:
    return "object"


def build() -> str:
    part = pool.submit(compile_part)
    print("stuck", flush=True)
    return part.result()


pool.submit(build).result()
