"""A cache refreshes itself under its lock, and the refresh calls a method that takes the lock
again. asyncio.Lock is not re-entrant: the task waits for itself."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# root = "cycle"
# deadlock = true
# chains = [[["task", "refresh"], ["lock"]]]
# ///

import asyncio


class Cache:
    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._rows: dict[str, int] = {}

    async def put(self, key: str, value: int) -> None:
        async with self._lock:
            self._rows[key] = value

    async def refresh(self) -> None:
        async with self._lock:
            self._rows.clear()
            print("stuck", flush=True)
            await self.put("fresh", 1)


asyncio.run(Cache().refresh())
