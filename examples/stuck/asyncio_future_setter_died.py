"""Requests over one connection wait for futures that a reader task resolves. The reader met a
reply it could not parse and died; the futures stay pending."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# root = "unknown"
# deadlock = false
# chains = [[["task", "call-7"], ["future"]]]
# ///

import asyncio


class Client:
    def __init__(self) -> None:
        self.pending: dict[int, asyncio.Future[str]] = {}

    async def call(self, number: int) -> str:
        self.pending[number] = asyncio.get_running_loop().create_future()
        print("stuck", flush=True)
        return await self.pending[number]

    async def read_replies(self) -> None:
        for line in ["7=ok", "garbled"]:
            number, _, text = line.partition("=")
            if not text:
                raise ValueError("not a reply")
            if waiting := self.pending.pop(int(number) + 1, None):  # off by one
                waiting.set_result(text)


async def main() -> None:
    client = Client()
    caller = asyncio.create_task(client.call(7), name="call-7")
    reader = asyncio.create_task(client.read_replies(), name="reader")
    await asyncio.wait([reader])
    await caller


asyncio.run(main())
