"""A driver's thread resolves futures by call_soon_threadsafe: the loop sleeps most of the time and
is woken each time."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# forbidden = []
# ///

import asyncio
import threading
import time


def driver(loop: asyncio.AbstractEventLoop, answer: "asyncio.Future[float]") -> None:
    time.sleep(0.02)
    loop.call_soon_threadsafe(answer.set_result, 21.5)


async def measure() -> None:
    loop = asyncio.get_running_loop()
    while True:
        answer: asyncio.Future[float] = loop.create_future()
        threading.Thread(target=driver, args=(loop, answer), daemon=True).start()
        await answer


async def main() -> None:
    print("running", flush=True)
    await asyncio.create_task(measure(), name="measure")


asyncio.run(main())
