"""A crawler fetches a page under a slot and follows its links before it gives the slot back. Two
pages at the same depth take both slots, and their links wait for them."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# root = "cycle"
# deadlock = true
# chains = [[["task", "/a/1"], ["semaphore"], ["task", "/a"], ["joinset|future"]]]
# ///

import asyncio

LINKS = {"/": ["/a", "/b"], "/a": ["/a/1"], "/b": ["/b/1"]}


async def crawl(slots: asyncio.Semaphore, path: str, depth: int = 0) -> None:
    if depth == 2:
        print("stuck", flush=True)
    async with slots:
        await asyncio.sleep(0)  # the fetch
        links = LINKS.get(path, [])
        await asyncio.gather(
            *(asyncio.create_task(crawl(slots, link, depth + 1), name=link) for link in links)
        )


async def main() -> None:
    slots = asyncio.Semaphore(3)
    await asyncio.create_task(crawl(slots, "/"), name="/")


asyncio.run(main())
