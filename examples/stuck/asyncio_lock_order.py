"""Two transfers between the same two accounts, in opposite directions, each hold what the other
wants: the locks are taken in the order of the arguments instead of in one order for everybody."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# root = "cycle"
# deadlock = true
# chains = [[["task", "rent"], ["lock"], ["task", "salary"], ["lock"]]]
# ///

import asyncio


class Account:
    def __init__(self, balance: int) -> None:
        self.balance = balance
        self.lock = asyncio.Lock()


async def transfer(source: Account, target: Account, amount: int) -> None:
    async with source.lock:
        await asyncio.sleep(0)  # asks the fraud service
        print("stuck", flush=True)
        async with target.lock:
            source.balance -= amount
            target.balance += amount


async def main() -> None:
    home, office = Account(100), Account(100)
    async with asyncio.TaskGroup() as group:
        group.create_task(transfer(home, office, 30), name="rent")
        group.create_task(transfer(office, home, 50), name="salary")


asyncio.run(main())
