"""Opens the database and keeps it open: one writer, one reader, each in its own task.

Decides pragmas and the order of opening and closing. The other file that knows trio-asyncio
exists: its loop lives as long as the database is open.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiosqlite
import trio
import trio_asyncio

from .actor import ConnectionActor
from .claim import claimed
from .reads import Reader
from .schema import BUSY_TIMEOUT_MS, prepare_database
from .writes import Writer


@dataclass(frozen=True, slots=True)
class Database:
    """An open database."""

    path: str
    writer: Writer
    reader: Reader
    recovered: list[str]
    """What had to be done on opening, in words."""


@asynccontextmanager
async def open_database(path: str, now_ns: int) -> AsyncIterator[Database]:
    """The database at `path`, created, migrated or recovered if need be.

    Raises StoreError, also if another daemon has it open. On leaving, what is queued for the
    writer is still written.
    """
    with claimed(path) as claim:
        recovered = await trio.to_thread.run_sync(prepare_database, path, now_ns)
        async with trio_asyncio.open_loop(), trio.open_nursery() as nursery:
            writer, reader = ConnectionActor(), ConnectionActor()
            await nursery.start(writer.run, lambda: _connect(path))
            await nursery.start(reader.run, lambda: _connect(path, read_only=True))
            try:
                yield Database(path, Writer(writer, claim.check), Reader(reader), recovered)
            finally:
                reader.close()
                writer.close()


async def _connect(path: str, *, read_only: bool = False) -> aiosqlite.Connection:
    connection = await aiosqlite.connect(path, isolation_level=None)
    await connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    await connection.execute("PRAGMA synchronous = NORMAL")
    await connection.execute("PRAGMA foreign_keys = ON")
    if read_only:
        await connection.execute("PRAGMA query_only = ON")
    return connection
