"""A process's graph into its tables, and the edges that lead nowhere.

Decides what becomes of ids that clash, and which edges have to be looked at when all replies are
in: those that a reply could not close by itself wait in a temporary table, so that nobody asks
for both ends of every edge of the snapshot. Refuses to know transactions: its callers have one.
"""

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from ..core import resolve
from ..core.chunks import Chunk, as_text
from ..core.gather import Status
from ..core.graph_rows import Problem
from ..core.records import Completion, ProcessRecord, ReplyRecord, Stored
from .rows import Table

OPEN_EDGES_DDL: Final = """
CREATE TEMP TABLE open_edges (snapshot_id INTEGER NOT NULL, src_id TEXT NOT NULL,
    dst_id TEXT NOT NULL, kind TEXT NOT NULL,
    PRIMARY KEY (snapshot_id, src_id, dst_id, kind)) WITHOUT ROWID"""
"""What the connection needs that stores graphs."""

NODES = Table(
    "nodes", ("snapshot_id", "process", "proc_key"), ("id", "kind", "label", "attrs_json")
)
EDGES = Table("edges", ("snapshot_id",), ("src_id", "dst_id", "kind", "attrs_json"))
_OPEN_EDGES = Table("temp.open_edges", ("snapshot_id",), ("src_id", "dst_id", "kind"))

_INSERT_PROCESS = """
INSERT INTO snapshot_processes (snapshot_id, process, pid, proc_key, status, recv_at_ns,
    error_text, captured_at_ns, capture_ns, reply_bytes, nodes, edges, agent, host, connection_id)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_DELETE_PROCESS = "DELETE FROM snapshot_processes WHERE snapshot_id = ? AND proc_key = ?"
_TAKEN_NODES = """
SELECT count(*), min(id) FROM nodes
WHERE snapshot_id = ? AND proc_key <> ? AND id IN (SELECT value FROM json_each(?))"""
_INSERT_UNRESOLVED = """
INSERT INTO unresolved_edges (snapshot_id, src_id, dst_id, missing_side, reason,
    referenced_proc_key, attrs_json, kind) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING"""
# CROSS JOIN: SQLite is not to turn the order round and read all edges.
_SELECT_UNRESOLVED = " UNION ALL ".join(
    f"""
SELECT src_id, dst_id, kind, e.attrs_json, '{side}'
FROM temp.open_edges CROSS JOIN edges e USING (snapshot_id, src_id, dst_id, kind)
WHERE snapshot_id = ?
  AND NOT EXISTS (SELECT 1 FROM nodes n WHERE n.snapshot_id = e.snapshot_id AND n.id = {side}_id)"""
    for side in ("dst", "src")
)
# The id of a socket is its two addresses and tells no process. Whose it was in a snapshot shortly
# before, and who is silent now, has it still.
_FIND_OWNERS = """
UPDATE unresolved_edges AS u
   SET referenced_proc_key = p.proc_key, reason = 'process_' || p.status
  FROM snapshot_processes p
 WHERE u.snapshot_id = :snapshot AND u.missing_side = 'dst' AND u.referenced_proc_key IS NULL
   AND u.dst_id >= 'socket:' AND u.dst_id < 'socket;'
   AND p.snapshot_id = :snapshot AND p.status <> 'responded'
   AND p.proc_key = (
     SELECT n.proc_key FROM snapshots s JOIN nodes n ON n.snapshot_id = s.snapshot_id
      WHERE s.snapshot_id < :snapshot AND s.snapshot_id >= :snapshot - 20 AND n.id = u.dst_id
      ORDER BY s.snapshot_id DESC LIMIT 1)"""
_FETCH = 2000


def insert_processes(
    db: sqlite3.Connection, snapshot_id: int, processes: Iterable[ProcessRecord]
) -> None:
    """Put processes on record."""
    db.executemany(_INSERT_PROCESS, [_process_row(snapshot_id, p) for p in processes])


def replace_processes(
    db: sqlite3.Connection, snapshot_id: int, ended: Iterable[tuple[str, ProcessRecord]]
) -> None:
    """Put on record how processes ended, in place of what stands under their frozen keys."""
    for frozen_key, process in ended:
        db.execute(_DELETE_PROCESS, (snapshot_id, frozen_key))
        db.execute(_INSERT_PROCESS, _process_row(snapshot_id, process))


def store_reply(db: sqlite3.Connection, record: ReplyRecord) -> Stored:
    """Insert one process's graph and status; ids that another process has stay its own."""
    sid, process, reply = record.snapshot_id, record.process, record.reply
    problems = list(reply.problems)
    nodes = edges = 0
    for chunk in reply.node_chunks:
        inserted = NODES.insert(db, (sid, process.process, process.proc_key), chunk)
        nodes += inserted
        if inserted < chunk.count:
            problems.append(_taken_nodes(db, sid, process.proc_key, chunk))
    for chunk in reply.edge_chunks:
        inserted = EDGES.insert(db, (sid,), chunk)
        edges += inserted
        if inserted < chunk.count:
            text = "reported by another process before; the first stays"
            problems.append(Problem("duplicate_edge", text, chunk.count - inserted))
    for chunk in reply.open_chunks:
        _OPEN_EDGES.insert(db, (sid,), chunk)
    process = replace(process, nodes=nodes, edges=edges)
    replace_processes(db, sid, [(record.frozen_key, process)])
    return Stored(nodes, edges, problems)


def _taken_nodes(db: sqlite3.Connection, snapshot_id: int, proc_key: str, chunk: Chunk) -> Problem:
    """Which of these ids another process of the snapshot has."""
    ids = json.dumps([as_text(value) for value in chunk.unpacked()[:: len(NODES.columns)]])
    count, first = db.execute(_TAKEN_NODES, (snapshot_id, proc_key, ids)).fetchone()
    text = f"{first!r:.300} belongs to another process of this snapshot; the first stays"
    return Problem("duplicate_node", text, count)


def store_unresolved(db: sqlite3.Connection, end: Completion) -> int:
    """Put on record why edges have no other end; returns how many there are."""
    total = 0
    cursor = db.execute(_SELECT_UNRESOLVED, (end.snapshot_id, end.snapshot_id))
    while rows := cursor.fetchmany(_FETCH):
        unresolved = []
        for src, dst, kind, attrs, side in rows:
            reason, proc_key = resolve.explain(dst if side == "dst" else src, end.statuses)
            unresolved.append((end.snapshot_id, src, dst, side, reason, proc_key, attrs, kind))
        db.executemany(_INSERT_UNRESOLVED, unresolved)
        total += len(unresolved)
    if total and any(status is not Status.RESPONDED for status in end.statuses.values()):
        db.execute(_FIND_OWNERS, {"snapshot": end.snapshot_id})
    forget_open_edges(db, end.snapshot_id)
    return total


def forget_open_edges(db: sqlite3.Connection, snapshot_id: int) -> None:
    """Nobody will ask for the missing ends of that snapshot any more."""
    db.execute("DELETE FROM temp.open_edges WHERE snapshot_id = ?", (snapshot_id,))


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
