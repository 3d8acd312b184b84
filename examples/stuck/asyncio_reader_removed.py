"""Whoever writes into the pipe would end the wait, but the loop listens to it no longer."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# root = "unknown"
# deadlock = false
# chains = [[["task", "main"], ["notify"]]]
# ///

import asyncio
import os


async def main() -> None:
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    inlet, outlet = os.pipe()
    loop.add_reader(inlet, told.set)
    loop.remove_reader(inlet)
    os.write(outlet, b"go")
    print("stuck", flush=True)
    await told.wait()


asyncio.run(main())
