"""The back-off of a failing token refresh sleeps outside the lock: others may try meanwhile."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# forbidden = [[["lock"], ["task", "request-*"]]]
# ///

import asyncio

token_lock = asyncio.Lock()


async def access_token() -> None:
    while True:
        async with token_lock:
            pass  # an attempt that fails
        await asyncio.sleep(0.01)


async def main() -> None:
    async with asyncio.TaskGroup() as group:
        for n in range(3):
            group.create_task(access_token(), name=f"request-{n}")
        print("running", flush=True)


asyncio.run(main())
