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

from . import graphs
from .actor import ConnectionActor
from .claim import claimed
from .reads import Reader
from .schema import BUSY_TIMEOUT_MS, prepare_database
from .writes import Writer

PRAGMAS = (
    "synchronous = NORMAL",
    "foreign_keys = ON",
    # A large reply's pages stay in memory until it is committed instead of being written often.
    "cache_size = -16384",
    # After each snapshot the janitor writes the log back; while one is taken it may grow to 64 MiB
    # before a reply has to wait for that.
    "wal_autocheckpoint = 16384",
)
"""Of the writer's connection; SQLite's words."""


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
    for pragma in PRAGMAS:
        await connection.execute(f"PRAGMA {pragma}")
    await connection.execute("PRAGMA query_only = ON" if read_only else graphs.OPEN_EDGES_DDL)
    return connection
