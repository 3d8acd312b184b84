"""Snapshots side by side, and lists of rows: diff, stuck, waits, plain SQL.

Decides the SQL that compares two snapshots; what a change is, core.diff says. Refuses to know
who asks.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from ..core import diff as core
from ..core.answer_shapes import NodeInfo
from ..core.nodes import Node, missing_node
from ..errors import BadRequest, NotFound
from . import bounded
from .graph_reads import GraphReads
from .scope import narrow
from .subjects import known_process

MAX_HISTORY = 100
MAX_ROWS = 100_000

_ONLY_IN = """
SELECT {columns} FROM main.{table} a WHERE a.snapshot_id = ?1
   AND NOT EXISTS (SELECT 1 FROM main.{table} b WHERE b.snapshot_id = ?2 AND {same})"""

_CHANGED = """
SELECT a.id FROM main.nodes a JOIN main.nodes b ON b.snapshot_id = ?2 AND b.id = a.id
 WHERE a.snapshot_id = ?1 AND a.attrs_json <> b.attrs_json
   AND (coalesce(json_extract(a.attrs_json, '$.state'), '')
          <> coalesce(json_extract(b.attrs_json, '$.state'), '')
     OR coalesce(json_extract(a.attrs_json, '$."ctx.location"'), '')
          <> coalesce(json_extract(b.attrs_json, '$."ctx.location"'), ''))"""

_PERSISTING = """
SELECT a.src_id, a.dst_id FROM main.edges a
  JOIN main.edges b ON b.snapshot_id = ?2 AND b.src_id = a.src_id AND b.dst_id = a.dst_id
                   AND b.kind = a.kind
 WHERE a.snapshot_id = ?1 AND a.kind = 'needs'"""

_NEEDS = """
SELECT a.src_id, a.dst_id FROM main.edges a WHERE a.snapshot_id = ?1 AND a.kind = 'needs'"""

_SAME_NODE = "b.id = a.id"
_SAME_EDGE = "b.src_id = a.src_id AND b.dst_id = a.dst_id AND b.kind = a.kind"


def _count(reads: GraphReads, sql: str, *params: int) -> int:
    return int(reads.rows(f"SELECT count(*) FROM ({sql})", params)[0][0])


def _limited(reads: GraphReads, sql: str, *params: int) -> list[sqlite3.Row]:
    return reads.rows(f"{sql} LIMIT {core.LISTED}", params)


def _infos(reads: GraphReads, snapshot_id: int, ids: Sequence[str]) -> dict[str, NodeInfo]:
    found = reads.nodes(snapshot_id, ids)
    return {i: node_info(found.get(i) or missing_node(i)) for i in ids}


def node_info(node: Node) -> NodeInfo:
    """What is shown of a node when nothing is known about how it could be missing."""
    place = node.place
    return NodeInfo(
        node.id,
        node.kind,
        node.name,
        node.process,
        node.proc_key,
        node.state,
        str(place) or None,
        place.function,
    )


def diff(reads: GraphReads, before: int, after: int) -> core.Diff:
    """What changed from one snapshot to the other."""
    nodes = _ONLY_IN.format(columns="a.id", table="nodes", same=_SAME_NODE)
    edges = _ONLY_IN.format(columns="a.src_id, a.dst_id, a.kind", table="edges", same=_SAME_EDGE)
    counts = {
        "nodes_appeared": _count(reads, nodes, after, before),
        "nodes_gone": _count(reads, nodes, before, after),
        "nodes_changed": _count(reads, _CHANGED, before, after),
        "edges_appeared": _count(reads, edges, after, before),
        "edges_gone": _count(reads, edges, before, after),
        "persisting": _count(reads, _PERSISTING, before, after),
    }
    waits = [(r[0], r[1]) for r in _limited(reads, _PERSISTING, before, after)]
    times = _times(reads, [before, after])
    return core.Diff(
        before,
        after,
        (times[after] - times[before]) / 1e9,
        _nodes(reads, after, _limited(reads, nodes, after, before)),
        _nodes(reads, before, _limited(reads, nodes, before, after)),
        _changes(reads, before, after, _limited(reads, _CHANGED, before, after)),
        _edges(reads, after, _limited(reads, edges, after, before)),
        _edges(reads, before, _limited(reads, edges, before, after)),
        _persisting(reads, waits, after, reads.previous(after, MAX_HISTORY)),
        counts,
    )


def _nodes(reads: GraphReads, snapshot_id: int, rows: Sequence[sqlite3.Row]) -> list[NodeInfo]:
    return list(_infos(reads, snapshot_id, [row[0] for row in rows]).values())


def _edges(reads: GraphReads, snapshot_id: int, rows: Sequence[sqlite3.Row]) -> list[core.EdgeInfo]:
    infos = _infos(reads, snapshot_id, list({i for row in rows for i in (row[0], row[1])}))
    return [
        core.EdgeInfo(src, dst, kind, *_names(infos[src], infos[dst])) for src, dst, kind in rows
    ]


def _names(src: NodeInfo, dst: NodeInfo) -> tuple[str, str, str, str]:
    return src.name, dst.name, src.proc_key, dst.proc_key


def _changes(
    reads: GraphReads, before: int, after: int, rows: Sequence[sqlite3.Row]
) -> list[core.Change]:
    ids = [row[0] for row in rows]
    old, new = _infos(reads, before, ids), _infos(reads, after, ids)
    return [core.Change(new[i], *_differing(old[i], new[i])) for i in ids]


def _differing(old: NodeInfo, new: NodeInfo) -> tuple[dict[str, str | None], dict[str, str | None]]:
    names = [n for n in ("state", "location", "function") if getattr(old, n) != getattr(new, n)]
    return {n: getattr(old, n) for n in names}, {n: getattr(new, n) for n in names}


def _times(reads: GraphReads, snapshots: Sequence[int]) -> dict[int, int]:
    marks = ",".join("?" * len(snapshots))
    rows = reads.rows(
        "SELECT snapshot_id, coalesce(capture_at_ns, requested_at_ns) FROM main.snapshots"
        f" WHERE snapshot_id IN ({marks})",
        tuple(snapshots),
    )
    return {row[0]: row[1] for row in rows}


def _persisting(
    reads: GraphReads, waits: Sequence[tuple[str, str]], newest: int, earlier: list[int]
) -> list[core.Persisting]:
    def has(snapshot_id: int, wait: core.EdgeKey) -> bool:
        return bool(
            reads.rows(
                "SELECT 1 FROM main.edges WHERE snapshot_id = ? AND src_id = ? AND dst_id = ?"
                " AND kind = ?",
                (snapshot_id, *wait),
            )
        )

    keys = [(src, dst, "needs") for src, dst in waits]
    since = core.unbroken(keys, earlier, has, newest)
    times = _times(reads, [newest, *earlier])
    infos = _infos(reads, newest, list({i for wait in waits for i in wait}))
    found = [
        core.Persisting(
            infos[src],
            infos[dst],
            since[src, dst, kind],
            times[since[src, dst, kind]],
            (times[newest] - times[since[src, dst, kind]]) / 1e9,
        )
        for src, dst, kind in keys
    ]
    return sorted(found, key=lambda p: (-p.seconds, p.waiter.id, p.needs.id))


_UNMOVED = """
SELECT 1 FROM main.edges e
  JOIN main.nodes c ON c.snapshot_id = e.snapshot_id AND c.id = e.src_id
  JOIN main.nodes s ON s.snapshot_id = e.snapshot_id AND s.id = ?3
 WHERE e.snapshot_id = ?1 AND e.src_id = ?2 AND e.dst_id = ?4 AND e.kind = 'needs'
   AND json_extract(c.attrs_json, '$."ctx.location"') IS ?5
   AND json_extract(s.attrs_json, '$."ctx.location"') IS ?6"""


def unmoved_for(reads: GraphReads, snapshot_id: int, request: Mapping[str, Any]) -> float:
    """For how many seconds at least both ends of a request (a row of the query
    requests-between) have been where they are: as far back as snapshots show it."""
    names = ("caller_id", "server_id", "socket_id", "caller_location", "server_location")
    params = tuple(request[name] for name in names)
    first = snapshot_id
    now = _marks_of_progress(reads, snapshot_id, request)
    for earlier in reads.previous(snapshot_id, MAX_HISTORY):
        if not reads.rows(_UNMOVED, (earlier, *params)):
            break
        if _marks_of_progress(reads, earlier, request) != now:
            break  # the same place again, for the next request
        first = earlier
    times = _times(reads, [first, snapshot_id])
    return (times[snapshot_id] - times[first]) / 1e9


_FIRST_NEEDS = """
SELECT src_id, dst_id FROM main.edges
 WHERE snapshot_id = ?1 AND src_id = {} AND kind = 'needs' ORDER BY dst_id LIMIT 64"""
"""They are read for each request in each earlier snapshot: a task may have very many."""


def _marks_of_progress(
    reads: GraphReads, snapshot_id: int, request: Mapping[str, Any]
) -> list[tuple[Any, ...]]:
    """What differs when a loop comes by the same line again: the things that both ends wait for,
    how full the connection is, what has gone over it, and how often each end was scheduled,
    where that is told."""
    found = reads.rows(
        f"SELECT * FROM ({_FIRST_NEEDS.format('?2')}) UNION ALL"
        f" SELECT * FROM ({_FIRST_NEEDS.format('?3')}) UNION ALL"
        " SELECT json_extract(attrs_json, '$.unread_bytes'),"
        "        json_extract(attrs_json, '$.unsent_bytes')"
        "   FROM main.nodes WHERE snapshot_id = ?1 AND id = ?4 UNION ALL"
        " SELECT json_extract(attrs_json, '$.bytes_sent'),"
        "        json_extract(attrs_json, '$.bytes_received')"
        "   FROM main.nodes WHERE snapshot_id = ?1 AND id = ?4 UNION ALL"
        " SELECT id, json_extract(attrs_json, '$.steps')"
        "   FROM main.nodes WHERE snapshot_id = ?1 AND id IN (?2, ?3) ORDER BY 1, 2",
        (
            snapshot_id,
            request["caller_id"],
            request["server_id"],
            request["socket_id"].removesuffix(":waited"),
        ),
    )
    return [tuple(row) for row in found]


def stuck(reads: GraphReads, newest: int, count: int) -> core.Stuck:
    """What waits on the same thing in each of the last `count` snapshots up to `newest`."""
    if not 2 <= count <= MAX_HISTORY:
        raise BadRequest(f"the number of snapshots must be from 2 to {MAX_HISTORY}")
    earlier = reads.previous(newest, MAX_HISTORY)
    if len(earlier) < count - 1:
        raise NotFound(
            f"there are only {len(earlier) + 1} snapshots up to {newest}; {count} were asked for",
            hint="take more: peeps jump, or peeps record-snapshots",
        )
    sql = (
        "SELECT a.src_id, a.dst_id FROM main.edges a WHERE a.snapshot_id = ?1 AND a.kind = 'needs'"
    )
    for snapshot_id in earlier[: count - 1]:
        sql += (
            " AND EXISTS (SELECT 1 FROM main.edges b WHERE b.snapshot_id ="
            f" {int(snapshot_id)} AND b.src_id = a.src_id AND b.dst_id = a.dst_id"
            " AND b.kind = 'needs')"
        )
    total = _count(reads, sql, newest)
    waits = [(row[0], row[1]) for row in _limited(reads, sql, newest)]
    return core.Stuck(
        [newest, *earlier[: count - 1]], _persisting(reads, waits, newest, earlier), total
    )


def waits(
    reads: GraphReads, snapshot_id: int, process: str | None, limit: int | None
) -> dict[str, Any]:
    """Rows of the view `waits`, those of tasks and threads, of one process or all."""
    narrow(reads.connection, snapshot_id)
    if process is not None:
        known_process(reads, snapshot_id, process)
    cursor = reads.connection.execute(
        "SELECT * FROM waits WHERE waiter_kind IN ('task', 'thread', 'future')"
        " AND (?1 IS NULL OR waiter_process = ?1 OR waiter_process IN"
        " (SELECT proc_key FROM snapshot_processes WHERE process = ?1 OR cast(pid AS text) = ?1))"
        " ORDER BY waiter_process, waiter, waiter_id LIMIT ?2",
        (process, 500 if limit is None else int(limit)),
    )
    names = [column[0] for column in cursor.description]
    found = [dict(zip(names, map(bounded.cell, row), strict=True)) for row in cursor]
    for row in found:
        del row["snapshot_id"]
    return {"snapshot_id": snapshot_id, "waits": found}


def sql(reads: GraphReads, text: str, params: Sequence[Any], wanted: int | None) -> dict[str, Any]:
    """One SELECT over one snapshot of one's own file. Same shape as POST /api/sql."""
    snapshot_id = reads.snapshot_id(wanted)
    earlier = reads.previous(snapshot_id)
    narrow(reads.connection, snapshot_id, earlier[0] if earlier else None)
    try:
        cursor = reads.connection.cursor()
        cursor.row_factory = None
        cursor.execute(text, tuple(params))
        rows = cursor.fetchmany(MAX_ROWS + 1)
    except (sqlite3.Error, sqlite3.Warning) as exc:
        raise BadRequest(f"SQLite says: {exc}") from None
    columns = [column[0] for column in cursor.description or ()]
    shown = [[bounded.as_json(value) for value in row] for row in rows[:MAX_ROWS]]
    return {
        "snapshot_id": snapshot_id,
        "columns": columns,
        "rows": shown,
        "row_count": len(shown),
        "truncated": "rows" if len(rows) > MAX_ROWS else None,
    }


def snapshots(reads: GraphReads, limit: int | None, before: int | None = None) -> dict[str, Any]:
    """The newest snapshots with counts, as GET /api/snapshots gives them."""
    rows = reads.rows(
        """
SELECT s.snapshot_id, s.requested_at_ns, s.completed_at_ns, s.timeout_ms, s.skew_ms, s.interrupted,
       count(p.proc_key) AS requested,
       coalesce(sum(p.status = 'responded'), 0) AS responded,
       coalesce(sum(p.status = 'timeout'), 0) AS timed_out,
       coalesce(sum(p.status = 'disconnected'), 0) AS disconnected,
       coalesce(sum(p.status = 'error'), 0) AS errors,
       coalesce(sum(p.nodes), 0) AS nodes, coalesce(sum(p.edges), 0) AS edges
  FROM main.snapshots s LEFT JOIN main.snapshot_processes p USING (snapshot_id)
 WHERE ?1 IS NULL OR s.snapshot_id < ?1
 GROUP BY s.snapshot_id ORDER BY s.snapshot_id DESC LIMIT ?2""",
        (before, 50 if limit is None else int(limit)),
    )
    return {"snapshots": [dict(row) for row in rows]}


def events(reads: GraphReads, limit: int | None) -> dict[str, Any]:
    """The newest of what was received and could not be used, of a snapshot or of none."""
    rows = reads.rows(
        "SELECT event_id, event_kind, event_at_ns, last_at_ns, count, snapshot_id, process, pid,"
        " proc_key, detail FROM main.ingest_events ORDER BY event_id DESC LIMIT ?",
        (50 if limit is None else int(limit),),
    )
    return {"events": [dict(row) for row in rows]}
