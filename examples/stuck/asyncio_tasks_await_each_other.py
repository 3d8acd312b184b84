"""Two halves of a shutdown each wait until the other is finished."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# root = "cycle"
# deadlock = true
# chains = [[["task", "close_reader"], ["task", "close_writer"]]]
# ///

import asyncio


class Connection:
    reader: asyncio.Task[None]
    writer: asyncio.Task[None]

    async def close_reader(self) -> None:
        await self.writer  # nothing more will be asked

    async def close_writer(self) -> None:
        print("stuck", flush=True)
        await self.reader  # everything asked was answered

    async def close(self) -> None:
        self.reader = asyncio.create_task(self.close_reader())
        self.writer = asyncio.create_task(self.close_writer())
        await asyncio.wait([self.reader, self.writer])


asyncio.run(Connection().close())
