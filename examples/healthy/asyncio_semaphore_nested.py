"""A crawler gives its slot back before it follows a page's links."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# forbidden = []
# ///

import asyncio

LINKS = {"/": ["/a", "/b"], "/a": ["/a/1"], "/b": ["/b/1"]}


async def crawl(slots: asyncio.Semaphore, path: str) -> None:
    async with slots:
        await asyncio.sleep(0.002)  # the fetch
    links = LINKS.get(path, [])
    await asyncio.gather(*(asyncio.create_task(crawl(slots, link), name=link) for link in links))


async def main() -> None:
    slots = asyncio.Semaphore(1)
    print("running", flush=True)
    while True:
        await asyncio.create_task(crawl(slots, "/"), name="/")


asyncio.run(main())
