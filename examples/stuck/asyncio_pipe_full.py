"""A child writes more than a pipe holds; the parent waits for its exit before it reads."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# root = "unknown"
# deadlock = false
# chains = [[["task", "convert"], ["command"], ["rx"]]]
# ///

import asyncio
import sys
from asyncio.subprocess import PIPE

CHATTY = "print('x' * 1_000_000)"


async def convert() -> bytes:
    # -S: the child itself takes no part.
    child = await asyncio.create_subprocess_exec(sys.executable, "-S", "-c", CHATTY, stdout=PIPE)
    print("stuck", flush=True)
    await child.wait()
    assert child.stdout is not None
    return await child.stdout.read()


async def main() -> None:
    await asyncio.create_task(convert(), name="convert")


asyncio.run(main())
