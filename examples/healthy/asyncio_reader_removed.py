"""Whoever writes into the pipe ends the wait: the loop listens to it."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# forbidden = [[["notify"], ["task"]]]
# ///

import asyncio
import os


async def main() -> None:
    told = asyncio.Event()
    inlet, outlet = os.pipe()
    asyncio.get_running_loop().add_reader(inlet, told.set)
    print("running", flush=True)
    await told.wait()
    os.close(outlet)


asyncio.run(main())
