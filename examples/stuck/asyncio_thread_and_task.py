"""A task holds a lock while a worker thread works for it; the thread asks the loop for something
that needs the lock. Task, thread and task wait in a ring."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# root = "cycle"
# deadlock = true
# chains = [[
#     ["task", "save"], ["future"], ["thread", "encode"], ["future"], ["task", "read_settings"],
#     ["lock"],
# ]]
# ///

import asyncio

settings_lock = asyncio.Lock()


async def read_settings() -> dict[str, str]:
    print("stuck", flush=True)
    async with settings_lock:
        return {"codec": "utf-8"}


def encode(loop: asyncio.AbstractEventLoop, text: str) -> bytes:
    settings = asyncio.run_coroutine_threadsafe(read_settings(), loop).result()
    return text.encode(settings["codec"])


async def save(text: str) -> bytes:
    async with settings_lock:
        return await asyncio.to_thread(encode, asyncio.get_running_loop(), text)


async def main() -> None:
    await asyncio.create_task(save("notes"), name="save")


asyncio.run(main())
