"""The service waits until it is configured; the configuration is invalid, the loader logs that
and returns, and nobody sets the event."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# root = "unknown"
# deadlock = false
# chains = [[["task", "serve"], ["notify"]]]
# ///

import asyncio
import json
import logging


class Service:
    def __init__(self) -> None:
        self.configured = asyncio.Event()

    async def load(self, text: str) -> None:
        try:
            json.loads(text)
        except ValueError:
            logging.getLogger("service").info("bad configuration")
            return
        self.configured.set()

    async def serve(self) -> None:
        print("stuck", flush=True)
        await self.configured.wait()


async def main() -> None:
    service = Service()
    async with asyncio.TaskGroup() as group:
        group.create_task(service.load("{ttl: 5}"))
        group.create_task(service.serve())


asyncio.run(main())
