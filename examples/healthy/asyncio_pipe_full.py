"""communicate() reads while it waits: children with a lot to say come and go."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# forbidden = []
# ///

import asyncio
import sys
from asyncio.subprocess import PIPE

CHATTY = "print('x' * 1_000_000)"


async def convert() -> None:
    while True:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-S", "-c", CHATTY, stdout=PIPE
        )
        await child.communicate()


async def main() -> None:
    print("running", flush=True)
    await asyncio.create_task(convert(), name="convert")


asyncio.run(main())
