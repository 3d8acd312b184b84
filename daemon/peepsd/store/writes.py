"""Everything that changes the database after start, as jobs for the one writer.

Decides transactions: one for the broadcast, one a reply (a crash never leaves half a process),
one for the end of a snapshot. Refuses to know connections, deadlines and who asked.
"""

import sqlite3
from collections.abc import Callable, Sequence
from typing import TypeVar

from ..core.events import NewRow, Recount
from ..core.records import Completion, ProcessRecord, ReplyRecord, Stored
from . import graphs
from .actor import ConnectionActor

T = TypeVar("T")

_INSERT_EVENT = """
INSERT INTO ingest_events (event_id, event_at_ns, snapshot_id, process, pid, proc_key, event_kind,
    detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"""
_RECOUNT_EVENT = "UPDATE ingest_events SET count = ?, last_at_ns = ? WHERE event_id = ?"


class Writer:
    """The single writer. Every method is one transaction, in the order of the calls."""

    def __init__(self, actor: ConnectionActor, check: Callable[[], None]) -> None:
        self._actor = actor
        self._check = check
        self._to_close: dict[int, tuple[int, str, int]] = {}

    async def begin(self, requested_at_ns: int, timeout_ms: int) -> int:
        """Allocate a snapshot id that was never used before. Raises StoreError also if the file
        was deleted: what is written to it would be lost."""

        def job(db: sqlite3.Connection) -> int:
            self._check()
            cursor = db.execute(
                "INSERT INTO snapshots (requested_at_ns, timeout_ms) VALUES (?, ?)",
                (requested_at_ns, timeout_ms),
            )
            assert cursor.lastrowid is not None
            return cursor.lastrowid

        await self._close_interrupted()
        return await self._actor.transact(job)

    async def freeze(
        self, snapshot_id: int, capture_at_ns: int, asked: Sequence[ProcessRecord]
    ) -> None:
        """Note who was asked, to look when. Until they end, they stand as errors: if the daemon
        dies now, that is what they were."""

        def job(db: sqlite3.Connection) -> None:
            db.execute(
                "UPDATE snapshots SET capture_at_ns = ? WHERE snapshot_id = ?",
                (capture_at_ns, snapshot_id),
            )
            graphs.insert_processes(db, snapshot_id, asked)

        await self._actor.transact(job)

    async def store_reply(self, record: ReplyRecord) -> Stored:
        """Store one process's graph and status; ids that another process has stay its own."""

        return await self._actor.transact(lambda db: graphs.store_reply(db, record))

    async def complete(self, end: Completion) -> int:
        """Store how the silent ended and the unresolved edges; the snapshot can be read now.
        Returns the number of unresolved edges."""

        def job(db: sqlite3.Connection) -> int:
            graphs.replace_processes(db, end.snapshot_id, end.silent)
            unresolved = graphs.store_unresolved(db, end)
            db.execute(
                "UPDATE snapshots SET completed_at_ns = ?, skew_ms = ?, interrupted = ?"
                " WHERE snapshot_id = ?",
                (end.completed_at_ns, end.skew_ms, end.interrupted, end.snapshot_id),
            )
            return unresolved

        return await self._actor.transact(job)

    async def interrupt(self, snapshot_id: int, completed_at_ns: int, why: str) -> None:
        """Close a snapshot that will not be completed; nothing if it is closed. If that is
        refused, it is done before the next snapshot is begun."""
        self._to_close[snapshot_id] = (completed_at_ns, why, snapshot_id)
        await self._close_interrupted()

    async def _close_interrupted(self) -> None:
        closing = dict(self._to_close)
        if not closing:
            return

        def job(db: sqlite3.Connection) -> None:
            db.executemany(
                "UPDATE snapshots SET completed_at_ns = ?, interrupted = ?"
                " WHERE snapshot_id = ? AND completed_at_ns IS NULL",
                list(closing.values()),
            )
            for snapshot_id in closing:
                graphs.forget_open_edges(db, snapshot_id)

        await self._actor.transact(job)
        for snapshot_id in closing:
            self._to_close.pop(snapshot_id, None)

    async def write_events(self, new: Sequence[NewRow], recounts: Sequence[Recount]) -> None:
        """Put problems on record."""

        def job(db: sqlite3.Connection) -> None:
            db.executemany(_INSERT_EVENT, [_event_row(row) for row in new])
            db.executemany(_RECOUNT_EVENT, [(r.count, r.last_at_ns, r.event_id) for r in recounts])

        await self._actor.transact(job)

    async def delete_snapshot(self, snapshot_id: int) -> None:
        """Forget one snapshot and all that belongs to it."""

        def job(db: sqlite3.Connection) -> None:
            for table in ("nodes", "edges", "unresolved_edges", "snapshot_processes", "snapshots"):
                db.execute(f"DELETE FROM {table} WHERE snapshot_id = ?", (snapshot_id,))

        await self._actor.transact(job)

    async def delete_events(self, before_ns: int, keep: int) -> None:
        """Forget events last seen before `before_ns`, and all but the newest `keep`."""

        def job(db: sqlite3.Connection) -> None:
            db.execute(
                "DELETE FROM ingest_events WHERE coalesce(last_at_ns, event_at_ns) < ?",
                (before_ns,),
            )
            db.execute(
                "DELETE FROM ingest_events WHERE event_id <="
                " (SELECT max(event_id) FROM ingest_events) - ?",
                (keep,),
            )

        await self._actor.transact(job)

    async def shrink(self) -> None:
        """Give free pages back to the file system."""

        def job(db: sqlite3.Connection) -> None:
            # A page is freed for each step of the statement; execute() would do just one.
            db.executescript("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE)")

        await self._actor.call(job)


def _event_row(row: NewRow) -> tuple[object, ...]:
    p = row.problem
    return (
        row.event_id,
        p.at_ns,
        p.snapshot_id,
        p.process,
        p.pid,
        p.proc_key,
        p.event_kind,
        p.detail,
    )
