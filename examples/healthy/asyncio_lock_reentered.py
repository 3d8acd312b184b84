"""A cache refreshes itself under its lock and uses the inner method that does not take it."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# forbidden = [[["task", "refresh"], ["lock"]]]
# ///

import asyncio


class Cache:
    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._rows: dict[str, int] = {}

    def _put(self, key: str, value: int) -> None:
        self._rows[key] = value

    async def put(self, key: str, value: int) -> None:
        async with self._lock:
            self._put(key, value)

    async def refresh(self) -> None:
        async with self._lock:
            while True:
                await asyncio.sleep(0.01)
                self._put("fresh", 1)


async def main() -> None:
    cache = Cache()
    async with asyncio.TaskGroup() as group:
        group.create_task(cache.refresh(), name="refresh")
        group.create_task(cache.put("a", 1), name="put")
        print("running", flush=True)


asyncio.run(main())
