"""A trio program and a child that it forked, which have a queue in common and both get on."""

# /// script
# requires-python = ">=3.11"
# dependencies = ["trio"]
#
# [tool.peeps]
# forbidden = [[["event_loop"], ["*"]], [["thread"], ["event_loop"]]]
# ///

import multiprocessing
import time

import trio

context = multiprocessing.get_context("fork")


def measure(results: "multiprocessing.SimpleQueue[float]") -> None:
    while True:
        results.put(time.monotonic())
        time.sleep(0.01)


async def report(results: "multiprocessing.SimpleQueue[float]") -> None:
    while True:
        if not results.empty():
            results.get()
        await trio.sleep(0.001)


async def main() -> None:
    results: multiprocessing.SimpleQueue[float] = context.SimpleQueue()
    context.Process(target=measure, args=(results,), daemon=True).start()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(report, results)
        print("running", flush=True)


trio.run(main)
