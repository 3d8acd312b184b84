"""Whichever replica answers first wins, says wait(FIRST_COMPLETED); but both replicas need the
lock that the asker holds. It needs only one of them, and can have neither."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# root = "cycle"
# deadlock = true
# chains = [
#     [["task", "ask"], ["joinset|future"], ["task", "replica-1"], ["lock"]],
#     [["task", "ask"], ["joinset|future"], ["task", "replica-2"], ["lock"]],
# ]
# ///

import asyncio

directory = asyncio.Lock()


async def replica(last: bool) -> str:
    if last:
        print("stuck", flush=True)
    async with directory:
        return "address"


async def ask() -> str:
    async with directory:
        replicas = [
            asyncio.create_task(replica(False), name="replica-1"),
            asyncio.create_task(replica(True), name="replica-2"),
        ]
        done, _ = await asyncio.wait(replicas, return_when=asyncio.FIRST_COMPLETED)
        return done.pop().result()


async def main() -> None:
    await asyncio.create_task(ask(), name="ask")


asyncio.run(main())
