"""What the sandbox costs: the same query in it and on a plain connection, in one run.

    python bench/bench_sandbox.py

The plain connection is kept open and narrows by hand (WHERE snapshot_id = ...), as somebody with
sqlite3 and the file would. The sandbox adds: two trips through a pipe, a fresh connection, the
views, the authorizer, JSON.
"""

import json
import sqlite3
import tempfile
from contextlib import closing
from functools import partial
from itertools import pairwise
from pathlib import Path

import trio
from side_by_side import compare

from peepsd.store.sandbox import SqlSandbox
from peepsd.store.schema import prepare_database, schema_sql

NODES = 100_000
ROUNDS = 21
TASKS = [f"task:p-1/{i:06x}" for i in range(NODES)]
ATTRS = json.dumps({"name": "handle", "state": "waiting", "ctx.location": "/srv/app/x.py:10"})

HERE = "(SELECT * FROM nodes WHERE snapshot_id = 2)"
QUERIES = {
    "one row, no table": ("SELECT 1", "SELECT 1"),
    "one node by id": (
        f"SELECT * FROM nodes WHERE id = '{TASKS[77]}'",
        f"SELECT * FROM nodes WHERE snapshot_id = 2 AND id = '{TASKS[77]}'",
    ),
    "1,000 nodes": (
        "SELECT id, kind, label FROM nodes LIMIT 1000",
        "SELECT id, kind, label FROM nodes WHERE snapshot_id = 2 LIMIT 1000",
    ),
    "group 100,000 nodes": (
        "SELECT kind, count(*) FROM nodes GROUP BY kind",
        f"SELECT kind, count(*) FROM {HERE} GROUP BY kind",
    ),
    "JSON of 100,000 nodes": (
        "SELECT attrs_json ->> '$.state', count(*) FROM nodes GROUP BY 1",
        f"SELECT attrs_json ->> '$.state', count(*) FROM {HERE} GROUP BY 1",
    ),
    "a wait chain": (
        f"SELECT * FROM wait_chains WHERE start_id = '{TASKS[0]}'",
        f"SELECT * FROM wait_chains WHERE snapshot_id = 2 AND start_id = '{TASKS[0]}'",
    ),
    "diff of two snapshots": (
        "SELECT count(*) FROM nodes WHERE id NOT IN (SELECT id FROM prev_nodes)",
        f"SELECT count(*) FROM {HERE} WHERE id NOT IN (SELECT id FROM nodes WHERE snapshot_id = 1)",
    ),
}


def fill(db: sqlite3.Connection) -> None:
    """Two snapshots of NODES nodes, each waiting for the next."""
    for snapshot_id in (1, 2):
        db.execute(
            "INSERT INTO snapshots (snapshot_id, requested_at_ns, completed_at_ns, timeout_ms)"
            " VALUES (?, 1, 1, 1)",
            (snapshot_id,),
        )
        nodes = ((snapshot_id, id, "task", "p", "p-1", ATTRS, "x") for id in TASKS)
        db.executemany("INSERT INTO nodes VALUES (?, ?, ?, ?, ?, ?, ?)", nodes)
        pairs = pairwise(TASKS)
        edges = ((snapshot_id, src, dst, "needs", "{}") for src, dst in pairs)
        db.executemany("INSERT INTO edges VALUES (?, ?, ?, ?, ?)", edges)
    db.commit()


def measure(path: Path, sandbox: SqlSandbox) -> None:
    """Print each query's times. Runs beside the event loop."""
    with closing(sqlite3.connect(path)) as db:
        for name, (jailed, plain) in QUERIES.items():
            ask = partial(trio.from_thread.run, sandbox.query, jailed)
            expected = [list(row) for row in db.execute(plain).fetchall()]
            assert json.loads(ask())["rows"] == expected, name
            print(f"{name}:")
            compare({"plain": partial(_fetch, db, plain), "sandbox": ask}, rounds=ROUNDS, unit="ms")


def _fetch(db: sqlite3.Connection, sql: str) -> object:
    return db.execute(sql).fetchall()


async def main() -> None:
    """Fill a database and question it both ways."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "peeps.sqlite"
        prepare_database(str(path), 1)
        with closing(sqlite3.connect(path)) as writer:
            fill(writer)
            sandbox = SqlSandbox(path, schema_sql(), deadline_s=30)
            async with trio.open_nursery() as nursery:
                await nursery.start(sandbox.run)
                await trio.to_thread.run_sync(measure, path, sandbox)
                nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
