"""One SQLite connection and the task that owns it.

Decides the order of jobs (first come, first served) and that a job once begun is finished.
Refuses to know what a job does. aiosqlite runs SQLite in a thread of its own; it speaks
asyncio, so this is one of the two files that know trio-asyncio exists.
"""

import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import aiosqlite
import outcome
import trio
from trio_asyncio import aio_as_trio

from ..errors import StoreError

T = TypeVar("T")
Job = Callable[[aiosqlite.Connection], Awaitable[T]]
"""An asyncio coroutine function: it runs on aiosqlite's side of the bridge."""

QUEUE = 1024


class _Slot:
    """Where a caller waits for the outcome of its job."""

    def __init__(self, job: Job[Any]) -> None:
        self.job = job
        self.done = trio.Event()
        self.outcome: outcome.Outcome[Any] | None = None


class ConnectionActor:
    """Runs jobs on one connection, one at a time."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[_Slot](QUEUE)

    async def call(self, job: Job[T]) -> T:
        """Run `job` in its turn and return its result.

        Raises StoreError for what SQLite refused. If the caller is cancelled while waiting, the
        job runs all the same.
        """
        slot = _Slot(job)
        try:
            await self._send.send(slot)
        except (trio.ClosedResourceError, trio.BrokenResourceError):
            raise StoreError("the database is closed: peepsd is shutting down") from None
        await slot.done.wait()
        assert slot.outcome is not None
        try:
            result: T = slot.outcome.unwrap()
        except sqlite3.Error as exc:
            raise StoreError(f"the database refused: {exc}") from exc
        return result

    def close(self) -> None:
        """Take no more jobs; run() returns when those that are queued are done."""
        self._send.close()

    async def run(
        self,
        connect: Callable[[], Awaitable[aiosqlite.Connection]],
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Own the connection until close(). Must run inside a trio-asyncio loop."""
        connection = await aio_as_trio(connect)()
        try:
            task_status.started()
            async for slot in self._receive:
                # A transaction is finished even when the daemon is being stopped.
                with trio.CancelScope(shield=True):
                    slot.outcome = await outcome.acapture(aio_as_trio(slot.job), connection)
                slot.done.set()
        finally:
            with trio.CancelScope(shield=True):
                await aio_as_trio(connection.close)()
            self._receive.close()


async def in_transaction(connection: aiosqlite.Connection, body: Job[T]) -> T:
    """Run `body` between BEGIN IMMEDIATE and COMMIT; any failure rolls all of it back."""
    await connection.execute("BEGIN IMMEDIATE")
    try:
        result = await body(connection)
        await connection.commit()
    except BaseException:
        await connection.rollback()
        raise
    return result
