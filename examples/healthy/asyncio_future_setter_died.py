"""Requests over one connection, each resolved by the reader a moment later."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# forbidden = [[["task", "reader"], ["future"]]]
# ///

import asyncio
import itertools


class Client:
    def __init__(self) -> None:
        self.pending: dict[int, asyncio.Future[str]] = {}
        self.numbers = itertools.count()

    async def call(self) -> None:
        while True:
            number = next(self.numbers)
            self.pending[number] = asyncio.get_running_loop().create_future()
            await self.pending[number]

    async def read_replies(self) -> None:
        while True:
            await asyncio.sleep(0.005)
            while self.pending:
                self.pending.popitem()[1].set_result("ok")


async def main() -> None:
    client = Client()
    async with asyncio.TaskGroup() as group:
        group.create_task(client.call(), name="caller")
        group.create_task(client.read_replies(), name="reader")
        print("running", flush=True)


asyncio.run(main())
