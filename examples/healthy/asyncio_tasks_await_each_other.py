"""A shutdown in which the writer ends first and the reader after it, over and over."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# forbidden = [[["task", "close_writer"], ["task", "close_reader"]]]
# ///

import asyncio


async def close_writer() -> None:
    await asyncio.sleep(0.003)


async def close_reader(writer: asyncio.Task[None]) -> None:
    await writer


async def main() -> None:
    print("running", flush=True)
    while True:
        writer = asyncio.create_task(close_writer())
        await asyncio.create_task(close_reader(writer))


asyncio.run(main())
