"""A small database written by hand: every kind of hang, in two snapshots.

Three services. `api` and `billing` are deadlocked across a connection; `worker` has an innocent
behind them, a task that sleeps, a full queue, an exhausted semaphore; `ledger` did not answer.
"""

import json
import sqlite3
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson

from peepsd.store import questions
from peepsd.store.schema import SCHEMA_VERSION, schema_sql

SECOND = 1_000_000_000
START_NS = 1_700_000_000 * SECOND


class SnapshotBuilder:
    """Rows of one snapshot, added in any order."""

    def __init__(self, db: sqlite3.Connection, snapshot_id: int, at_ns: int) -> None:
        self.db, self.snapshot_id = db, snapshot_id
        db.execute(
            "INSERT INTO snapshots (snapshot_id, requested_at_ns, completed_at_ns, timeout_ms,"
            " skew_ms) VALUES (?, ?, ?, 5000, 1.5)",
            (snapshot_id, at_ns, at_ns + 20_000_000),
        )

    def process(self, name: str, pid: int, status: str = "responded", error: Any = None) -> None:
        """One process that was asked."""
        self.db.execute(
            "INSERT INTO snapshot_processes (snapshot_id, process, pid, proc_key, status,"
            " error_text) VALUES (?, ?, ?, ?, ?, ?)",
            (self.snapshot_id, name, pid, f"{name}-{pid}", status, error),
        )

    def node(self, node_id: str, proc_key: str, name: str | None = None, **attrs: Any) -> str:
        """A node; `at="file:line function"` is its place."""
        at = attrs.pop("at", None)
        if at is not None:
            location, _, function = at.partition(" ")
            file, _, line = location.rpartition(":")
            attrs |= {
                "ctx.location": location,
                "ctx.file": file,
                "ctx.line": int(line),
                "ctx.function": function,
            }
            attrs.setdefault("stack", [f"main ({file}:1)", f"{function} ({location})"])
        if name is not None:
            attrs["name"] = name
        kind = node_id.partition(":")[0]
        self.db.execute(
            "INSERT INTO nodes VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                self.snapshot_id,
                node_id,
                kind,
                proc_key.rpartition("-")[0],
                proc_key,
                json.dumps(attrs),
                None,
            ),
        )
        return node_id

    def edge(self, src: str, dst: str, kind: str = "needs", **attrs: Any) -> None:
        """An edge."""
        self.db.execute(
            "INSERT INTO edges VALUES (?, ?, ?, ?, ?)",
            (self.snapshot_id, src, dst, kind, json.dumps(attrs)),
        )

    def chain(self, *ids: str) -> None:
        """Each needs the next."""
        for src, dst in pairwise(ids):
            self.edge(src, dst)

    def unresolved(self, src: str, dst: str, reason: str, proc_key: str | None) -> None:
        """An edge whose target no reply contained."""
        self.edge(src, dst)
        self.db.execute(
            "INSERT INTO unresolved_edges VALUES (?, ?, ?, 'dst', ?, ?, '{}', 'needs')",
            (self.snapshot_id, src, dst, reason, proc_key),
        )


def new_database(path: Path) -> sqlite3.Connection:
    """An empty database with our schema."""
    db = sqlite3.connect(path, isolation_level=None)
    db.executescript(schema_sql())
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    return db


API, BILLING, WORKER, LEDGER = "api-11", "billing-22", "worker-33", "ledger-44"
TO_BILLING, FROM_API = (
    "socket:tcp:10.0.0.1:50001>10.0.0.2:80",
    "socket:tcp:10.0.0.2:80>10.0.0.1:50001",
)
TO_API, FROM_BILLING = (
    "socket:tcp:10.0.0.2:50002>10.0.0.1:80",
    "socket:tcp:10.0.0.1:80>10.0.0.2:50002",
)


def fill(snapshot: SnapshotBuilder) -> None:
    """The whole story, in one snapshot."""
    for name, pid in (("api", 11), ("billing", 22), ("worker", 33)):
        snapshot.process(name, pid)
    snapshot.process("ledger", 44, status="timeout")
    _deadlock(snapshot)
    _worker(snapshot)


def _deadlock(s: SnapshotBuilder) -> None:
    s.node("task:api-11.x/1", API, "checkout", state="waiting", at="/srv/api/shop.py:31 checkout")
    s.node("task:api-11.x/2", API, "get_price", state="waiting", at="/srv/api/shop.py:58 get_price")
    s.node("lock:api-11.x/9", API, "basket", locked=True)
    s.node(
        "task:billing-22.y/1",
        BILLING,
        "charge",
        state="waiting",
        at="/srv/billing/pay.py:12 charge",
    )
    for socket, owner in (
        (TO_BILLING, API), (FROM_BILLING, API), (FROM_API, BILLING), (TO_API, BILLING),
    ):  # fmt: skip
        s.node(socket, owner)
    s.edge("task:api-11.x/1", TO_BILLING, op="read")
    s.edge(TO_BILLING, FROM_API)
    s.edge(FROM_API, "task:billing-22.y/1", inferred="outermost connection of its frames")
    s.edge("task:billing-22.y/1", TO_API, op="read")
    s.edge(TO_API, FROM_BILLING)
    s.edge(FROM_BILLING, "task:api-11.x/2", inferred="outermost connection of its frames")
    s.edge("task:api-11.x/2", "lock:api-11.x/9")
    s.edge("lock:api-11.x/9", "task:api-11.x/1", relation="held_by")


def _worker(s: SnapshotBuilder) -> None:
    at = "/srv/worker/jobs.py:{} {}".format
    s.node("task:worker-33.z/1", WORKER, "report", state="waiting", at=at(10, "report"))
    s.unresolved("task:worker-33.z/1", "task:ledger-44.q/7", "process_timeout", LEDGER)
    s.node("task:worker-33.z/2", WORKER, "main", state="waiting", at=at(20, "main"))
    s.node("joinset:worker-33.z/3", WORKER, "jobs", children=2)
    s.chain("task:worker-33.z/2", "joinset:worker-33.z/3")
    s.node("task:worker-33.z/4", WORKER, "heartbeat", state="waiting", at=at(30, "heartbeat"))
    s.node("sleep:worker-33.z/4", WORKER)
    s.chain("joinset:worker-33.z/3", "task:worker-33.z/4", "sleep:worker-33.z/4")
    s.node("task:worker-33.z/5", WORKER, "produce", state="waiting", at=at(40, "produce"))
    s.node(
        "queue:worker-33.z/6",
        WORKER,
        "events",
        maxsize=8,
        size=8,
        putters=1,
        unfinished=9,
        wait="any",
    )
    s.edge("task:worker-33.z/5", "queue:worker-33.z/6", op="put")
    s.edge("joinset:worker-33.z/3", "task:worker-33.z/5")
    s.node("semaphore:worker-33.z/7", WORKER, "db-pool", value=0, waiters=1, wait="any")
    for n in (8, 9):
        s.node(f"task:worker-33.z/{n}", WORKER, f"query-{n}", state="waiting", at=at(n, "query"))
        s.node(f"notify:worker-33.z/1{n}", WORKER, f"row-{n}")
        s.edge("semaphore:worker-33.z/7", f"task:worker-33.z/{n}", inferred="on its stack")
        s.edge(f"task:worker-33.z/{n}", f"notify:worker-33.z/1{n}")
    s.node("task:worker-33.z/a", WORKER, "query-10", state="waiting", at=at(55, "query"))
    s.edge("task:worker-33.z/a", "semaphore:worker-33.z/7")
    s.node("task:worker-33.z/b", WORKER, "import", state="blocked", at=at(70, "import_csv"))
    s.node("task:worker-33.z/c", WORKER, "mail", state="waiting", at=at(80, "mail"))
    s.edge("task:worker-33.z/c", "task:worker-33.z/b", inferred="it blocks the loop")


def write_story(path: Path, snapshots: Iterable[int] = (1, 2)) -> Path:
    """The story, the same in each of several snapshots, ten seconds apart; in the last one a
    task has appeared."""
    db = new_database(path)
    last = 0
    for n in snapshots:
        builder = SnapshotBuilder(db, n, START_NS + n * 10 * SECOND)
        fill(builder)
        last = n
    builder = SnapshotBuilder.__new__(SnapshotBuilder)
    builder.db, builder.snapshot_id = db, last
    builder.node(
        "task:worker-33.z/d", WORKER, "newcomer", state="running", at="/srv/worker/jobs.py:99 go"
    )
    db.close()
    return path


def ask(path: Path, question: str, **args: Any) -> Any:
    """The answer to a question about a file."""
    return orjson.loads(questions.answer(str(path), question, args))
