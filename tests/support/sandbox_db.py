"""A database as the daemon leaves it, with other people's things in it for attackers to want.

Snapshot 3 is the one in scope, 2 the one before it, 5 is still being gathered. 1 and 4 are
nobody's business, and neither is what a stranger put into the file. Everything hidden bears MARK,
and comes in numbers of HIDDEN_COUNTS.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

SCHEMA = (Path(__file__).parents[2] / "schema.sql").read_text()
SCOPE, PREVIOUS, HIDDEN = 3, 2, (1, 4)
MARK = "SECRET-b1946ac9"
NODES = 100
HIDDEN_NODES = 811
ROWS_OF_ONE = 613
HIDDEN_EVENTS = 709

HIDDEN_COUNTS = frozenset(
    {
        ROWS_OF_ONE,
        HIDDEN_EVENTS,
        HIDDEN_NODES,
        2 * HIDDEN_NODES,
        2 * HIDDEN_NODES + NODES + NODES // 2,  # all rows of nodes
        2 * HIDDEN_NODES + NODES + NODES // 2 + ROWS_OF_ONE,
    }
)

STRANGERS = f"""
CREATE TABLE one(x);
CREATE VIEW leaky AS SELECT * FROM nodes;
CREATE VIEW bare AS SELECT 1 AS one FROM nodes;
CREATE VIEW barely AS SELECT 1 AS one FROM bare, (SELECT 1);
CREATE INDEX ix_nodes ON nodes (snapshot_id, kind);
CREATE TABLE empty(x);
WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r LIMIT {ROWS_OF_ONE})
INSERT INTO one SELECT '{MARK}' FROM r;
"""

MODULES = (
    "CREATE VIRTUAL TABLE nodes_fts USING fts5(a)",
    f"INSERT INTO nodes_fts VALUES ('{MARK}')",
    "CREATE VIRTUAL TABLE box USING rtree(id, x0, x1)",
    "INSERT INTO box VALUES (1, 0, 1)",
    "CREATE VIRTUAL TABLE nodes_vocab USING fts5vocab(nodes_fts, row)",
)


def _node(snapshot_id: int, i: int, mark: str) -> tuple[object, ...]:
    kind = "task" if i % 2 else "lock"
    return (snapshot_id, f"{kind}:{mark}{i:04}", kind, "shop", "shop-1",
            f'{{"i": {i}, "mark": "{mark}"}}', f"{mark}label {i}")  # fmt: skip


def _edge(snapshot_id: int, i: int, mark: str) -> tuple[object, ...]:
    """Each task needs the lock after it, which needs the task after that: long chains."""
    ids = [_node(snapshot_id, i + step, mark)[1] for step in (0, 1)]
    return (snapshot_id, *ids, "needs", f'{{"mark": "{mark}"}}')


def fill(db: sqlite3.Connection) -> None:
    """Schema and rows."""
    db.executescript(SCHEMA)
    sizes = {1: HIDDEN_NODES, PREVIOUS: NODES // 2, SCOPE: NODES, 4: HIDDEN_NODES}
    for snapshot_id, size in sizes.items():
        mark = MARK if snapshot_id in HIDDEN else ""
        db.execute(
            "INSERT INTO snapshots (snapshot_id, requested_at_ns, completed_at_ns, timeout_ms)"
            " VALUES (?, ?, ?, 5000)",
            (snapshot_id, 1763616000000000000 + snapshot_id, 1763616000500000000 + snapshot_id),
        )
        db.execute(
            "INSERT INTO snapshot_processes (snapshot_id, process, pid, proc_key, status)"
            " VALUES (?, ?, 1, ?, 'responded')",
            (snapshot_id, f"shop{mark}", f"shop{mark}-1"),
        )
        db.execute(
            "INSERT INTO snapshot_processes (snapshot_id, process, proc_key, status)"
            " VALUES (?, ?, ?, 'timeout')",
            (snapshot_id, f"till{mark}", f"till{mark}-2"),
        )
        rows = [_node(snapshot_id, i, mark) for i in range(size)]
        db.executemany("INSERT INTO nodes VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        edges = [_edge(snapshot_id, i, mark) for i in range(size - 1)]
        db.executemany("INSERT INTO edges VALUES (?, ?, ?, ?, ?)", edges)
        db.execute(
            "INSERT INTO unresolved_edges (snapshot_id, src_id, dst_id, missing_side, reason,"
            " attrs_json) VALUES (?, ?, 'gone', 'dst', 'no_such_node', '{}')",
            (snapshot_id, f"task:{mark}0001"),
        )
        db.execute(
            "INSERT INTO ingest_events (event_at_ns, snapshot_id, event_kind, detail)"
            " VALUES (1, ?, 'late_reply', ?)",
            (snapshot_id, mark),
        )
    db.execute("INSERT INTO snapshots (snapshot_id, requested_at_ns, timeout_ms) VALUES (5, 1, 1)")
    db.executemany(
        "INSERT INTO ingest_events (event_at_ns, event_kind, detail) VALUES (1, 'decode_error', ?)",
        [(MARK,)] * HIDDEN_EVENTS,
    )


@contextmanager
def attacked_database(directory: Path) -> Iterator[Path]:
    """The file, held open as the daemon does, with rows that are only in its WAL."""
    path = directory / "peeps.sqlite"
    old = os.umask(0o077)
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA wal_autocheckpoint = 0")
            fill(db)
            db.executescript(STRANGERS)
            for statement in MODULES:
                with suppress(sqlite3.OperationalError):  # a SQLite without that module
                    db.execute(statement)
            db.execute("ANALYZE")
            yield path
    finally:
        os.umask(old)


def fingerprint(path: Path) -> dict[str, bytes]:
    """Every file beside the database with its content; the -shm is the readers' own."""
    return {
        file.name: b"" if file.name.endswith("-shm") else file.read_bytes()
        for file in path.parent.iterdir()
    }
