"""Snapshots read for analysis: wait graphs, nodes by id, the list of snapshots.

Decides the SQL and how much is read: every `needs` edge of a snapshot, but of its nodes only
those that are marked or asked for. Refuses to know what is concluded. Synchronous: it runs in
a worker process of the daemon, or in the command line.
"""

import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from typing import Any

import orjson

from ..core import wires
from ..core.attributes import attributes_of
from ..core.nodes import Node, child_pid
from ..core.roots import Missing
from ..core.snapshot_graph import MARKERS, MARKING, Marks, Process, SnapshotGraph, marks_of
from ..errors import NotFound
from .scope import narrow, open_read_only

EARLIER = 20
"""In so many earlier snapshots the owner of a missing socket is looked for."""


class GraphReads:
    """One database, read."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.connection = open_read_only(path)

    def close(self) -> None:
        """Let go of the file."""
        self.connection.close()

    def snapshot_id(self, wanted: int | None = None) -> int:
        """`wanted` if it is complete, else the latest that is. Raises NotFound."""
        row = self.connection.execute(
            "SELECT snapshot_id, completed_at_ns FROM main.snapshots"
            " WHERE snapshot_id = coalesce(?, snapshot_id)"
            "   AND (?1 IS NOT NULL OR completed_at_ns IS NOT NULL AND interrupted IS NULL)"
            " ORDER BY snapshot_id DESC LIMIT 1",
            (wanted,),
        ).fetchone()
        if row is None:
            raise self._no_such(wanted)
        if row["completed_at_ns"] is None:
            raise NotFound(f"snapshot {wanted} is still being gathered; ask again in a moment")
        return int(row["snapshot_id"])

    def _no_such(self, wanted: int | None) -> NotFound:
        if wanted is None:
            return NotFound(
                "there is no snapshot yet",
                hint="take one with `peeps jump` or curl -X POST …/api/jump-now",
            )
        span = self.connection.execute(
            "SELECT min(snapshot_id), max(snapshot_id) FROM main.snapshots"
        ).fetchone()
        known = f"; there are {span[0]} to {span[1]}" if span[0] is not None else ""
        return NotFound(f"there is no snapshot {wanted}{known}")

    def previous(self, snapshot_id: int, count: int = 1) -> list[int]:
        """The `count` complete snapshots before that one, latest first."""
        rows = self.connection.execute(
            "SELECT snapshot_id FROM main.snapshots WHERE snapshot_id < ?"
            " AND completed_at_ns IS NOT NULL AND interrupted IS NULL"
            " ORDER BY snapshot_id DESC LIMIT ?",
            (snapshot_id, count),
        )
        return [row[0] for row in rows]

    def load(self, snapshot_id: int) -> SnapshotGraph:
        """The snapshot as the analysis needs it; narrows the connection to it."""
        earlier = self.previous(snapshot_id)
        narrow(self.connection, snapshot_id, earlier[0] if earlier else None)
        row = self.connection.execute("SELECT * FROM snapshots").fetchone()
        if row is None:
            raise self._no_such(snapshot_id)
        processes = self.processes(snapshot_id)
        marks = self._marks()
        edges = chain(self.needs(), self._children(processes))
        found = wires.untangle(edges, marks.any_of, marks.limited, self._writers())
        missing = self._missing()
        self._find_owners(snapshot_id, missing, processes)
        return SnapshotGraph(
            snapshot_id=snapshot_id,
            taken_at_ns=row["capture_at_ns"] or row["requested_at_ns"],
            processes=processes,
            wires=found,
            lookup=lambda ids: self.nodes(snapshot_id, ids),
            missing=missing,
            marks=marks,
            skew_ms=row["skew_ms"],
        )

    def processes(self, snapshot_id: int) -> list[Process]:
        """Who was asked, and how each ended."""
        rows = self.connection.execute(
            "SELECT proc_key, process, pid, status, error_text FROM main.snapshot_processes"
            " WHERE snapshot_id = ? ORDER BY proc_key",
            (snapshot_id,),
        )
        return [Process(*row) for row in rows]

    def needs(self) -> Iterator[tuple[str, str, str | None]]:
        """Every `needs` edge of the snapshot that the connection is narrowed to."""
        cursor = self.connection.cursor()
        cursor.row_factory = None
        cursor.execute(
            "SELECT src_id, dst_id, CASE WHEN length(attrs_json) > 2"
            " THEN cast(json_extract(attrs_json, '$.inferred') AS text) END"
            " FROM edges WHERE kind = 'needs'"
        )
        return cursor

    def _children(self, processes: list[Process]) -> Iterator[tuple[str, str, str | None]]:
        """From a child process as its parent sees it to the main thread of that very process."""
        keys = {p.pid: p.proc_key for p in processes if p.pid is not None}
        commands = self.connection.execute(
            "SELECT id, json_extract(attrs_json, '$.child_pid') FROM nodes WHERE kind = 'command'"
        )
        for command_id, told in commands.fetchall():
            pid = child_pid(command_id, told)
            proc_key = keys.get(pid) if pid is not None else None
            if proc_key is None or sum(p.pid == pid for p in processes) > 1:
                continue
            threads = self.connection.execute(
                "SELECT id FROM nodes WHERE kind = 'thread' AND proc_key = ?"
                " AND json_extract(attrs_json, '$.name') = 'MainThread'",
                (proc_key,),
            )
            for row in threads:
                yield command_id, row[0], "a process ends when its main thread does"

    def _writers(self) -> frozenset[str]:
        """Tasks that wait to write to a socket, not to read from it."""
        rows = self.connection.execute(
            "SELECT src_id FROM edges WHERE kind = 'needs' AND dst_id >= 'socket:'"
            " AND dst_id < 'socket;' AND json_extract(attrs_json, '$.op') IN ('write', 'drain')"
        )
        return frozenset(row[0] for row in rows)

    def _marks(self) -> Marks:
        tests = " OR ".join("attrs_json GLOB ?" for _ in MARKERS)
        told = ", ".join(f"json_extract(attrs_json, '$.{name}')" for name in MARKING)
        rows = self.connection.execute(
            f"SELECT id, {told} FROM nodes WHERE {tests}", [f"*{text}*" for text in MARKERS]
        )
        return marks_of(
            (node_id, dict(zip(MARKING, values, strict=True))) for node_id, *values in rows
        )

    def _missing(self) -> dict[str, Missing]:
        rows = self.connection.execute(
            "SELECT CASE missing_side WHEN 'src' THEN src_id ELSE dst_id END,"
            " reason, referenced_proc_key FROM unresolved_edges"
        )
        return {node_id: Missing(reason, proc_key) for node_id, reason, proc_key in rows}

    def _find_owners(
        self, snapshot_id: int, missing: dict[str, Missing], processes: list[Process]
    ) -> None:
        """Sockets do not tell whose they are; an earlier snapshot may have seen them."""
        silent = {
            p.proc_key: "process_error" if p.status == "responded" else f"process_{p.status}"
            for p in processes
            if not p.answered
        }
        if not silent:
            return
        earlier = self.previous(snapshot_id, EARLIER)
        for node_id, gap in missing.items():
            if gap.proc_key is not None or not node_id.startswith("socket:"):
                continue
            owner = self._owner(node_id, earlier)
            if owner in silent:
                missing[node_id] = Missing(silent[owner], owner)

    def _owner(self, node_id: str, snapshots: list[int]) -> str | None:
        for snapshot_id in snapshots:
            row = self.connection.execute(
                "SELECT proc_key FROM main.nodes WHERE snapshot_id = ? AND id = ?",
                (snapshot_id, node_id),
            ).fetchone()
            if row is not None:
                return str(row[0])
        return None

    def nodes(self, snapshot_id: int, ids: Collection[str]) -> Mapping[str, Node]:
        """The nodes of these ids, as far as they are there."""
        rows = self.connection.execute(
            "SELECT n.id, n.kind, n.process, n.proc_key, n.label, n.attrs_json"
            "  FROM json_each(?) wanted CROSS JOIN"  # in this order: few are wanted of many
            " main.nodes n ON n.snapshot_id = ? AND n.id = wanted.value",
            (orjson.dumps(list(ids)).decode(), snapshot_id),
        )
        return {row["id"]: node_of(row) for row in rows}

    def edges_of(self, snapshot_id: int, node_id: str) -> list[dict[str, Any]]:
        """Every edge that starts or ends at a node."""
        rows = self.connection.execute(
            "SELECT src_id, dst_id, kind, attrs_json FROM main.edges"
            " WHERE snapshot_id = ?1 AND src_id = ?2"
            " UNION ALL SELECT src_id, dst_id, kind, attrs_json FROM main.edges"
            " WHERE snapshot_id = ?1 AND dst_id = ?2 AND src_id <> ?2",
            (snapshot_id, node_id),
        )
        return [
            {"src": r[0], "dst": r[1], "kind": r[2], "attrs": attributes_of(r[3])} for r in rows
        ]

    def rows(self, sql: str, params: tuple[Any, ...] | Mapping[str, Any] = ()) -> list[sqlite3.Row]:
        """Rows of our own SQL, on the snapshot that was loaded last."""
        return self.connection.execute(sql, params).fetchall()


def node_of(row: sqlite3.Row) -> Node:
    """A row of `nodes` as a Node."""
    return Node(
        row["id"],
        row["kind"],
        row["process"],
        row["proc_key"],
        row["label"],
        attributes_of(row["attrs_json"]),
    )


@contextmanager
def reading(path: str) -> Iterator[GraphReads]:
    """A database, read and let go of."""
    reads = GraphReads(path)
    try:
        yield reads
    finally:
        reads.close()
