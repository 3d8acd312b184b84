"""Synchronous code that runs on the loop's own thread asks the loop for a result and waits for
it: the loop waits for itself."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# root = "cycle"
# deadlock = true
# chains = [[["task", "request"], ["thread"], ["future"], ["event_loop"]]]
# ///

import asyncio


class Directory:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop

    async def look_up(self, name: str) -> str:
        return name.upper()

    def look_up_sync(self, name: str) -> str:
        future = asyncio.run_coroutine_threadsafe(self.look_up(name), self.loop)
        print("stuck", flush=True)
        return future.result()


async def request(directory: Directory) -> str:
    return directory.look_up_sync("ada")


async def main() -> None:
    directory = Directory(asyncio.get_running_loop())
    await asyncio.create_task(request(directory), name="request")


asyncio.run(main())
