"""A page is built of three parts with gather; one part waits for a result that never comes, and
the two that are finished do not help."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# root = "unknown"
# deadlock = false
# chains = [[["task", "page"], ["joinset|future"], ["task", "recommendations"], ["future|notify"]]]
# ///

import asyncio


async def fast(text: str) -> str:
    return text


async def recommendations() -> str:
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    print("stuck", flush=True)
    return await answer


async def page() -> str:
    return " ".join(await asyncio.gather(fast("header"), recommendations(), fast("footer")))


async def main() -> None:
    await asyncio.create_task(page(), name="page")


asyncio.run(main())
