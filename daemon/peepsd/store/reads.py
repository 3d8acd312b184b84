"""What the daemon itself reads: snapshots, their processes, counts. Read-only.

Decides the shapes that the API hands out. Graph queries live in graph_reads, questions in SQL
of other people in the sandbox.
"""

import sqlite3
from typing import Any

from ..core import retention
from .actor import ConnectionActor

_SNAPSHOTS = """
SELECT s.snapshot_id, s.requested_at_ns, s.completed_at_ns, s.timeout_ms, s.skew_ms,
       s.interrupted, count(p.proc_key) AS requested,
       coalesce(sum(p.status = 'responded'), 0) AS responded,
       coalesce(sum(p.status = 'timeout'), 0) AS timed_out,
       coalesce(sum(p.status = 'disconnected'), 0) AS disconnected,
       coalesce(sum(p.status = 'error'), 0) AS errors,
       coalesce(sum(p.nodes), 0) AS nodes, coalesce(sum(p.edges), 0) AS edges
FROM snapshots s LEFT JOIN snapshot_processes p USING (snapshot_id)
WHERE {where} GROUP BY s.snapshot_id ORDER BY s.snapshot_id DESC LIMIT ?"""

_PROCESSES = """
SELECT proc_key, process, pid, status, error_text, nodes, edges, recv_at_ns, captured_at_ns,
       capture_ns, reply_bytes, agent, host
FROM snapshot_processes WHERE snapshot_id = ? ORDER BY proc_key"""

_KINDS = "SELECT kind, count(*) FROM {table} WHERE snapshot_id = ? GROUP BY kind ORDER BY kind"

_COMPLETED = "SELECT snapshot_id FROM snapshots WHERE completed_at_ns IS NOT NULL ORDER BY 1"


class Reader:
    """Reads on a connection of their own: they see what was committed and hold nobody up."""

    def __init__(self, actor: ConnectionActor) -> None:
        self._actor = actor

    async def snapshots(self, limit: int, before: int | None = None) -> list[dict[str, Any]]:
        """The newest `limit` snapshots (older than id `before`), newest first, with counts."""
        where = "s.snapshot_id < ?" if before is not None else "1"
        parameters = (before, limit) if before is not None else (limit,)
        return await self._rows(_SNAPSHOTS.format(where=where), parameters)

    async def snapshot(self, snapshot_id: int) -> dict[str, Any] | None:
        """One snapshot with its processes, node and edge kinds, and unresolved edges' number."""
        found = await self._rows(_SNAPSHOTS.format(where="s.snapshot_id = ?"), (snapshot_id, 1))
        if not found:
            return None
        snapshot = found[0]
        snapshot["processes"] = await self._rows(_PROCESSES, (snapshot_id,))
        for table in ("nodes", "edges"):
            pairs = await self._pairs(_KINDS.format(table=table), (snapshot_id,))
            snapshot[f"{table}_by_kind"] = dict(pairs)
        ((unresolved,),) = await self._pairs(
            "SELECT count(*) FROM unresolved_edges WHERE snapshot_id = ?", (snapshot_id,)
        )
        snapshot["unresolved_edges"] = unresolved
        return snapshot

    async def expired(self, retain: int) -> list[int]:
        """Ids of the completed snapshots beyond the newest `retain`, oldest first."""
        ids = [row[0] for row in await self._pairs(_COMPLETED, ())]
        return list(retention.expired_snapshots(ids, retain))

    async def last_event_id(self) -> int:
        """The highest id of ingest_events, 0 if there is none."""
        ((last,),) = await self._pairs("SELECT coalesce(max(event_id), 0) FROM ingest_events", ())
        return int(last)

    async def checkpoint(self) -> None:
        """Write back what the write-ahead log has, as far as nobody reads it. On this connection:
        the writer goes on meanwhile."""
        await self._pairs("PRAGMA wal_checkpoint(PASSIVE)", ())

    async def size_bytes(self) -> int:
        """What the database takes, without its write-ahead log."""
        ((pages,),) = await self._pairs("PRAGMA page_count", ())
        ((page_size,),) = await self._pairs("PRAGMA page_size", ())
        return int(pages) * int(page_size)

    async def _pairs(self, sql: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        return await self._actor.call(lambda db: db.execute(sql, parameters).fetchall())

    async def _rows(self, sql: str, parameters: tuple[Any, ...]) -> list[dict[str, Any]]:
        def job(db: sqlite3.Connection) -> list[dict[str, Any]]:
            cursor = db.execute(sql, parameters)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

        return await self._actor.call(job)
