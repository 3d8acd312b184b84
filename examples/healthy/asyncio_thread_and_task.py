"""A task lets go of the lock before it waits for a thread that asks the loop for something under
that lock."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# forbidden = [[["lock"], ["task", "save"]]]
# ///

import asyncio

settings_lock = asyncio.Lock()


async def read_settings() -> str:
    async with settings_lock:
        await asyncio.sleep(0.005)
        return "utf-8"


def encode(loop: asyncio.AbstractEventLoop) -> bytes:
    return "notes".encode(asyncio.run_coroutine_threadsafe(read_settings(), loop).result())


async def save() -> None:
    while True:
        async with settings_lock:
            pass
        await asyncio.to_thread(encode, asyncio.get_running_loop())


async def main() -> None:
    print("running", flush=True)
    await asyncio.create_task(save(), name="save")


asyncio.run(main())
