"""Consumers wait for a condition whose lock everybody shares. A waiter is inside `async with` and
yet does not hold the lock: wait() lets go of it."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# forbidden = []
# ///

import asyncio


class Outbox:
    def __init__(self) -> None:
        self.changed = asyncio.Condition()
        self.letters: list[str] = []

    async def post(self) -> None:
        while True:
            async with self.changed:
                await asyncio.sleep(0.01)
                self.letters.append("letter")
                self.changed.notify_all()

    async def deliver(self) -> None:
        while True:
            async with self.changed:
                await self.changed.wait_for(lambda: bool(self.letters))
                self.letters.clear()


async def main() -> None:
    outbox = Outbox()
    async with asyncio.TaskGroup() as group:
        group.create_task(outbox.deliver(), name="deliver")
        group.create_task(outbox.post(), name="post")
        print("running", flush=True)


asyncio.run(main())
