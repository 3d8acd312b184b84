"""Transfers between the same two accounts in both directions, with the locks always taken in the
order of the account numbers: contended all the time, and never stuck."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# forbidden = []
# ///

import asyncio
import itertools

numbers = itertools.count()


class Account:
    def __init__(self) -> None:
        self.number = next(numbers)
        self.balance = 100
        self.lock = asyncio.Lock()


async def transfer(source: Account, target: Account) -> None:
    first, second = sorted((source, target), key=lambda account: account.number)
    while True:
        async with first.lock:
            await asyncio.sleep(0.001)
            async with second.lock:
                await asyncio.sleep(0.001)
                source.balance -= 1
                target.balance += 1


async def audit(accounts: list[Account]) -> None:
    while True:
        for account in accounts:
            async with account.lock:
                pass
        await asyncio.sleep(0.01)  # holds nothing here


async def main() -> None:
    home, office = Account(), Account()
    async with asyncio.TaskGroup() as group:
        group.create_task(transfer(home, office), name="rent")
        group.create_task(transfer(office, home), name="salary")
        group.create_task(audit([home, office]), name="auditor")
        print("running", flush=True)


asyncio.run(main())
