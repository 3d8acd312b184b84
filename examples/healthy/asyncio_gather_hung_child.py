"""Pages are built of parts with gather; each part takes a moment and comes."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# forbidden = [[["task", "page"], ["task", "page"]]]
# ///

import asyncio


async def part(text: str) -> str:
    await asyncio.sleep(0.003)
    return text


async def page() -> str:
    return " ".join(await asyncio.gather(part("header"), part("body"), part("footer")))


async def main() -> None:
    print("running", flush=True)
    while True:
        await asyncio.create_task(page(), name="page")


asyncio.run(main())
