"""Everything that changes the database after start, as jobs for the one writer.

Decides transactions: one for the broadcast, one a reply (a crash never leaves half a process),
one for the end of a snapshot. Refuses to know connections, deadlines and who asked.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import aiosqlite

from ..core import resolve
from ..core.events import NewRow, Recount
from ..core.gather import Status
from ..core.graph_rows import Chunk, Problem
from ..core.records import Completion, ProcessRecord, ReplyRecord, Stored
from .actor import ConnectionActor, Job, in_transaction

T = TypeVar("T")

_INSERT_PROCESS = """
INSERT INTO snapshot_processes (snapshot_id, process, pid, proc_key, status, recv_at_ns,
    error_text, captured_at_ns, capture_ns, reply_bytes, nodes, edges, agent, host, connection_id)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_DELETE_PROCESS = "DELETE FROM snapshot_processes WHERE snapshot_id = ? AND proc_key = ?"
# Rows are projected inside SQLite: unlike executemany this takes the interpreter lock once a
# chunk, not once a row, so a busy event loop cannot starve it (bench/bench_store.py).
_INSERT_NODES = """
INSERT INTO nodes (snapshot_id, id, kind, process, proc_key, attrs_json, label)
SELECT ?, value ->> 0, value ->> 1, ?, ?, value ->> 3, value ->> 2 FROM json_each(?)
WHERE true ON CONFLICT DO NOTHING"""
_INSERT_EDGES = """
INSERT INTO edges (snapshot_id, src_id, dst_id, kind, attrs_json)
SELECT ?, value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?)
WHERE true ON CONFLICT DO NOTHING"""
_INSERT_UNRESOLVED = """
INSERT INTO unresolved_edges (snapshot_id, src_id, dst_id, missing_side, reason,
    referenced_proc_key, attrs_json, kind) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING"""
_SELECT_UNRESOLVED = """
SELECT e.src_id, e.dst_id, e.kind, e.attrs_json, 'dst' FROM edges e
WHERE e.snapshot_id = ?1
  AND NOT EXISTS (SELECT 1 FROM nodes n WHERE n.snapshot_id = ?1 AND n.id = e.dst_id)
UNION ALL
SELECT e.src_id, e.dst_id, e.kind, e.attrs_json, 'src' FROM edges e
WHERE e.snapshot_id = ?1
  AND NOT EXISTS (SELECT 1 FROM nodes n WHERE n.snapshot_id = ?1 AND n.id = e.src_id)"""
# The id of a socket is its two addresses and tells no process. Whose it was in a snapshot shortly
# before, and who is silent now, has it still.
_FIND_OWNERS = """
UPDATE unresolved_edges AS u
   SET referenced_proc_key = p.proc_key, reason = 'process_' || p.status
  FROM snapshot_processes p
 WHERE u.snapshot_id = ?1 AND u.missing_side = 'dst' AND u.referenced_proc_key IS NULL
   AND u.dst_id >= 'socket:' AND u.dst_id < 'socket;'
   AND p.snapshot_id = ?1 AND p.status <> 'responded'
   AND p.proc_key = (
     SELECT n.proc_key FROM snapshots s JOIN nodes n ON n.snapshot_id = s.snapshot_id
      WHERE s.snapshot_id < ?1 AND s.snapshot_id >= ?1 - 20 AND n.id = u.dst_id
      ORDER BY s.snapshot_id DESC LIMIT 1)"""
_TAKEN_NODES = """
SELECT count(*), min(id) FROM nodes
WHERE snapshot_id = ? AND proc_key <> ? AND id IN (SELECT value ->> 0 FROM json_each(?))"""
_INSERT_EVENT = """
INSERT INTO ingest_events (event_id, event_at_ns, snapshot_id, process, pid, proc_key, event_kind,
    detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"""
_RECOUNT_EVENT = "UPDATE ingest_events SET count = ?, last_at_ns = ? WHERE event_id = ?"
_FETCH = 2000


class Writer:
    """The single writer. Every method is one transaction, in the order of the calls."""

    def __init__(self, actor: ConnectionActor, check: Callable[[], None]) -> None:
        self._actor = actor
        self._check = check
        self._to_close: dict[int, tuple[int, str, int]] = {}

    async def begin(self, requested_at_ns: int, timeout_ms: int) -> int:
        """Allocate a snapshot id that was never used before. Raises StoreError also if the file
        was deleted: what is written to it would be lost."""

        async def job(db: aiosqlite.Connection) -> int:
            self._check()
            cursor = await db.execute(
                "INSERT INTO snapshots (requested_at_ns, timeout_ms) VALUES (?, ?)",
                (requested_at_ns, timeout_ms),
            )
            assert cursor.lastrowid is not None
            return cursor.lastrowid

        await self._close_interrupted()
        return await self._transaction(job)

    async def freeze(
        self, snapshot_id: int, capture_at_ns: int, asked: Sequence[ProcessRecord]
    ) -> None:
        """Note who was asked, to look when. Until they end, they stand as errors: if the daemon
        dies now, that is what they were."""

        async def job(db: aiosqlite.Connection) -> None:
            await db.execute(
                "UPDATE snapshots SET capture_at_ns = ? WHERE snapshot_id = ?",
                (capture_at_ns, snapshot_id),
            )
            await db.executemany(_INSERT_PROCESS, [_process_row(snapshot_id, p) for p in asked])

        await self._transaction(job)

    async def store_reply(self, record: ReplyRecord) -> Stored:
        """Store one process's graph and status; ids that another process has stay its own."""

        async def job(db: aiosqlite.Connection) -> Stored:
            return await _store_reply(db, record)

        return await self._transaction(job)

    async def complete(self, end: Completion) -> int:
        """Store how the silent ended and the unresolved edges; the snapshot can be read now.
        Returns the number of unresolved edges."""

        async def job(db: aiosqlite.Connection) -> int:
            for frozen_key, process in end.silent:
                await db.execute(_DELETE_PROCESS, (end.snapshot_id, frozen_key))
                await db.execute(_INSERT_PROCESS, _process_row(end.snapshot_id, process))
            unresolved = await _store_unresolved(db, end)
            await db.execute(
                "UPDATE snapshots SET completed_at_ns = ?, skew_ms = ?, interrupted = ?"
                " WHERE snapshot_id = ?",
                (end.completed_at_ns, end.skew_ms, end.interrupted, end.snapshot_id),
            )
            return unresolved

        return await self._transaction(job)

    async def interrupt(self, snapshot_id: int, completed_at_ns: int, why: str) -> None:
        """Close a snapshot that will not be completed; nothing if it is closed. If that is
        refused, it is done before the next snapshot is begun."""
        self._to_close[snapshot_id] = (completed_at_ns, why, snapshot_id)
        await self._close_interrupted()

    async def _close_interrupted(self) -> None:
        closing = dict(self._to_close)
        if not closing:
            return

        async def job(db: aiosqlite.Connection) -> None:
            await db.executemany(
                "UPDATE snapshots SET completed_at_ns = ?, interrupted = ?"
                " WHERE snapshot_id = ? AND completed_at_ns IS NULL",
                list(closing.values()),
            )

        await self._transaction(job)
        for snapshot_id in closing:
            self._to_close.pop(snapshot_id, None)

    async def write_events(self, new: Sequence[NewRow], recounts: Sequence[Recount]) -> None:
        """Put problems on record."""

        async def job(db: aiosqlite.Connection) -> None:
            await db.executemany(_INSERT_EVENT, [_event_row(row) for row in new])
            await db.executemany(
                _RECOUNT_EVENT, [(r.count, r.last_at_ns, r.event_id) for r in recounts]
            )

        await self._transaction(job)

    async def delete_snapshot(self, snapshot_id: int) -> None:
        """Forget one snapshot and all that belongs to it."""

        async def job(db: aiosqlite.Connection) -> None:
            for table in ("nodes", "edges", "unresolved_edges", "snapshot_processes", "snapshots"):
                await db.execute(f"DELETE FROM {table} WHERE snapshot_id = ?", (snapshot_id,))

        await self._transaction(job)

    async def delete_events(self, before_ns: int, keep: int) -> None:
        """Forget events last seen before `before_ns`, and all but the newest `keep`."""

        async def job(db: aiosqlite.Connection) -> None:
            await db.execute(
                "DELETE FROM ingest_events WHERE coalesce(last_at_ns, event_at_ns) < ?",
                (before_ns,),
            )
            await db.execute(
                "DELETE FROM ingest_events WHERE event_id <="
                " (SELECT max(event_id) FROM ingest_events) - ?",
                (keep,),
            )

        await self._transaction(job)

    async def shrink(self) -> None:
        """Give free pages back to the file system."""

        async def job(db: aiosqlite.Connection) -> None:
            # A page is freed for each step of the statement; execute() would do just one.
            await db.executescript("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE)")

        await self._actor.call(job)

    async def _transaction(self, body: Job[T]) -> T:
        return await self._actor.call(lambda db: in_transaction(db, body))


def _process_row(snapshot_id: int, p: ProcessRecord) -> tuple[object, ...]:
    return (
        snapshot_id,
        p.process,
        p.pid,
        p.proc_key,
        p.status.value,
        p.recv_at_ns,
        p.error_text,
        p.captured_at_ns,
        p.capture_ns,
        p.reply_bytes,
        p.nodes,
        p.edges,
        p.agent,
        p.host,
        p.connection_id,
    )


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


async def _store_reply(db: aiosqlite.Connection, record: ReplyRecord) -> Stored:
    sid, process, reply = record.snapshot_id, record.process, record.reply
    problems = list(reply.problems)
    nodes = edges = 0
    for chunk in reply.node_chunks:
        inserted = await _execute(
            db, _INSERT_NODES, sid, process.process, process.proc_key, chunk.rows_json
        )
        nodes += inserted
        if inserted < chunk.count:
            problems.append(await _taken_nodes(db, sid, process.proc_key, chunk))
    for chunk in reply.edge_chunks:
        inserted = await _execute(db, _INSERT_EDGES, sid, chunk.rows_json)
        edges += inserted
        if inserted < chunk.count:
            text = "reported by another process before; the first stays"
            problems.append(Problem("duplicate_edge", text, chunk.count - inserted))
    await db.execute(_DELETE_PROCESS, (sid, record.frozen_key))
    process = replace(process, nodes=nodes, edges=edges)
    await db.execute(_INSERT_PROCESS, _process_row(sid, process))
    return Stored(nodes, edges, problems)


async def _execute(db: aiosqlite.Connection, sql: str, *parameters: object) -> int:
    """Run one statement; returns how many rows it inserted."""
    async with db.execute(sql, parameters) as cursor:
        return cursor.rowcount


async def _taken_nodes(
    db: aiosqlite.Connection, snapshot_id: int, proc_key: str, chunk: Chunk
) -> Problem:
    """Which of these ids another process of the snapshot has."""
    async with db.execute(_TAKEN_NODES, (snapshot_id, proc_key, chunk.rows_json)) as cursor:
        row = await cursor.fetchone()
    assert row is not None
    text = f"{row[1]!r:.300} belongs to another process of this snapshot; the first stays"
    return Problem("duplicate_node", text, row[0])


async def _store_unresolved(db: aiosqlite.Connection, end: Completion) -> int:
    total = 0
    async with db.execute(_SELECT_UNRESOLVED, (end.snapshot_id,)) as cursor:
        while rows := await cursor.fetchmany(_FETCH):
            unresolved = []
            for src, dst, kind, attrs, side in rows:
                reason, proc_key = resolve.explain(dst if side == "dst" else src, end.statuses)
                unresolved.append((end.snapshot_id, src, dst, side, reason, proc_key, attrs, kind))
            await db.executemany(_INSERT_UNRESOLVED, unresolved)
            total += len(unresolved)
    if total and any(status is not Status.RESPONDED for status in end.statuses.values()):
        await db.execute(_FIND_OWNERS, (end.snapshot_id,))
    return total
