"""One SQLite connection and the task that owns it.

Decides the order of jobs (first come, first served), which of them share a crossing to SQLite's
thread and a transaction, and that a job once begun is finished. Refuses to know what a job does.
aiosqlite runs SQLite in a thread of its own; it speaks asyncio, so this is one of the two files
that know trio-asyncio exists.

A crossing lasts as long as there are jobs, so that a queue of them costs one. Jobs of `transact`
that wait together share a transaction, each in a savepoint: one that fails takes nothing of the
others with it, and nobody is told that a job is done before it is committed.
"""

import sqlite3
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from itertools import groupby
from typing import Any, Generic, TypeVar

import aiosqlite
import outcome
import trio
from trio_asyncio import aio_as_trio

from ..errors import StoreError

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], T]
"""Runs in the connection's own thread. In a transaction it may be run again if that could not
be committed, so it changes nothing but the database."""

JOBS_AT_ONCE = 64
CLOSED = "the database is closed: peepsd is shutting down"


class _Slot(Generic[T]):
    """Where a caller waits for the outcome of its job."""

    def __init__(self, job: Job[T], *, is_transaction: bool) -> None:
        self.job = job
        self.is_transaction = is_transaction
        self.done = trio.Event()
        self.outcome: outcome.Outcome[T] | None = None


class ConnectionActor:
    """Runs jobs on one connection, in order."""

    def __init__(self) -> None:
        self._waiting: deque[_Slot[Any]] = deque()  # filled here, emptied in SQLite's thread
        self._changed = trio.Event()
        self._is_closed = False

    async def call(self, job: Job[T]) -> T:
        """Run `job` in its turn, outside of any transaction, and return its result.

        Raises StoreError for what SQLite refused. If the caller is cancelled while waiting, the
        job runs all the same.
        """
        return await self._result(_Slot(job, is_transaction=False))

    async def transact(self, job: Job[T]) -> T:
        """As `call`, but all of it or nothing: when this returns, it is committed."""
        return await self._result(_Slot(job, is_transaction=True))

    async def _result(self, slot: _Slot[T]) -> T:
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._is_closed:
            raise StoreError(CLOSED)
        self._waiting.append(slot)
        self._changed.set()
        await slot.done.wait()
        assert slot.outcome is not None
        try:
            return slot.outcome.unwrap()
        except sqlite3.Error as exc:
            raise StoreError(f"the database refused: {exc}") from exc

    def close(self) -> None:
        """Take no more jobs; run() returns when those that are queued are done."""
        self._is_closed = True
        self._changed.set()

    async def run(
        self,
        connect: Callable[[], Awaitable[aiosqlite.Connection]],
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Own the connection until close(). Must run inside a trio-asyncio loop."""
        connection = await aio_as_trio(connect)()
        token = trio.lowlevel.current_trio_token()
        try:
            task_status.started()
            while self._waiting or not self._is_closed:
                if not self._waiting:
                    self._changed = trio.Event()
                    await self._changed.wait()
                    continue
                # A transaction is finished even when the daemon is being stopped.
                with trio.CancelScope(shield=True):
                    # aiosqlite's own way to its thread; the public one crosses for each statement
                    await aio_as_trio(connection._execute)(self._work, connection._conn, token)
        finally:
            self.close()
            with trio.CancelScope(shield=True):
                await aio_as_trio(connection.close)()
            for slot in self._waiting:  # we were cancelled
                slot.outcome = outcome.Error(StoreError(CLOSED))
                slot.done.set()

    # in SQLite's thread

    def _work(self, db: sqlite3.Connection, token: trio.lowlevel.TrioToken) -> None:
        """Run jobs until none waits."""
        while self._waiting:
            slots = [self._waiting.popleft() for _ in range(min(len(self._waiting), JOBS_AT_ONCE))]
            _run(db, slots)
            token.run_sync_soon(_tell, slots)


def _tell(slots: Sequence[_Slot[Any]]) -> None:
    for slot in slots:
        slot.done.set()


def _run(db: sqlite3.Connection, slots: Sequence[_Slot[Any]]) -> None:
    """Give each slot its outcome."""
    for is_transaction, group in groupby(slots, lambda slot: slot.is_transaction):
        alike = list(group)
        if not (is_transaction and len(alike) > 1 and _run_together(db, alike)):
            for slot in alike:
                job = _in_transaction if is_transaction else _as_it_is
                slot.outcome = outcome.capture(job, db, slot.job)


def _as_it_is(db: sqlite3.Connection, job: Job[T]) -> T:
    return job(db)


def _in_transaction(db: sqlite3.Connection, job: Job[T]) -> T:
    """Run `job` between BEGIN IMMEDIATE and COMMIT; any failure rolls all of it back."""
    db.execute("BEGIN IMMEDIATE")
    try:
        result = job(db)
        db.execute("COMMIT")
    except BaseException:
        db.rollback()
        raise
    return result


def _run_together(db: sqlite3.Connection, slots: Sequence[_Slot[Any]]) -> bool:
    """All jobs in one transaction. False: that was refused (a full disk), and nothing is done."""
    try:
        db.execute("BEGIN IMMEDIATE")
        for slot in slots:
            db.execute("SAVEPOINT job")
            slot.outcome = outcome.capture(slot.job, db)
            if isinstance(slot.outcome, outcome.Error):
                db.execute("ROLLBACK TO job")
            db.execute("RELEASE job")
        db.execute("COMMIT")
    except sqlite3.Error:
        db.rollback()
        return False
    return True
