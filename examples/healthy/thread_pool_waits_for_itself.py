"""A job of one pool waits for a job of another pool, which gets done."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# forbidden = []
# ///

import time
from concurrent.futures import ThreadPoolExecutor

builders, compilers = ThreadPoolExecutor(2), ThreadPoolExecutor(1)


def compile_part() -> None:
    time.sleep(0.005)


def build() -> None:
    compilers.submit(compile_part).result()


print("running", flush=True)
while True:
    jobs = [builders.submit(build) for _ in range(4)]
    for job in jobs:
        job.result()
