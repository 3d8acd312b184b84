"""A driver's thread resolves a future directly instead of by call_soon_threadsafe. The result is
there, but the loop sleeps in select and nothing wakes it."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# root = "unknown"
# deadlock = false
# chains = [[["task", "measure"], ["event_loop"]]]
# ///

import asyncio
import threading


def driver(answer: "asyncio.Future[float]", loop_is_parked: threading.Event) -> None:
    loop_is_parked.wait(0.5)  # never set: just slower than the loop
    answer.set_result(21.5)
    print("stuck", flush=True)


async def measure() -> float:
    answer: asyncio.Future[float] = asyncio.get_running_loop().create_future()
    threading.Thread(target=driver, args=(answer, threading.Event()), daemon=True).start()
    return await answer


async def main() -> None:
    await asyncio.create_task(measure(), name="measure")
    print("woken", flush=True)


asyncio.run(main())
