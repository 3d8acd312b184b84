"""Consumers wait for a condition; the producer changes the state and forgets to notify."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# root = "unknown"
# deadlock = false
# chains = [[["task", "deliver"], ["condition"]]]
# ///

import asyncio


class Outbox:
    def __init__(self) -> None:
        self.changed = asyncio.Condition()
        self.letters: list[str] = []

    async def post(self, letter: str) -> None:
        async with self.changed:
            self.letters.append(letter)

    async def deliver(self) -> str:
        async with self.changed:
            await self.changed.wait_for(lambda: bool(self.letters))
            return self.letters.pop()


async def main() -> None:
    outbox = Outbox()
    async with asyncio.TaskGroup() as group:
        group.create_task(outbox.deliver(), name="deliver")
        await asyncio.sleep(0)
        await outbox.post("hello")
        print("stuck", flush=True)


asyncio.run(main())
