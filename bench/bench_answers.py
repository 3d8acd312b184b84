"""What answers cost on snapshots of 1,000, 100,000 and 1,000,000 rows, each against a plain
`select count(*)` over the same rows in the same run.

    python bench/bench_answers.py [rows ...]
"""

import json
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from peepsd.store import questions
from peepsd.store.graph_reads import GraphReads
from peepsd.store.packs import PACKS
from peepsd.store.schema import prepare_database

SIZES = (1_000, 100_000, 1_000_000)
STACK = [f"handler_{i} (/srv/app/service/module_{i}.py:{i * 7})" for i in range(6)]

COUNT = (
    "SELECT (SELECT count(*) FROM nodes WHERE snapshot_id = 1)"
    " + (SELECT count(*) FROM edges WHERE snapshot_id = 1)"
)


def story(rows: int) -> Iterator[tuple[str, tuple[object, ...]]]:
    """Nodes and edges, about `rows` of them: tasks of ten services wait for locks that other
    tasks hold, a third of them for one lock as well, and two tasks for each other."""
    choose = random.Random(5)

    def task(i: int) -> str:
        return f"task:svc{i % 10}-{i % 10}.r/{i:07x}"

    def node(id: str, kind: str, owner: int, attrs: object) -> tuple[str, tuple[object, ...]]:
        name = f"svc{owner % 10}"
        return "nodes", (1, id, kind, name, f"{name}-{owner % 10}", json.dumps(attrs), None)

    def edge(src: str, dst: str, kind: str = "needs") -> tuple[str, tuple[object, ...]]:
        return "edges", (1, src, dst, kind, "{}")

    yield edge(task(0), task(1))
    yield edge(task(1), task(0))
    for i in range(rows * 10 // 37):
        place = {"ctx.location": f"/srv/app/m.py:{i % 500}", "ctx.file": "/srv/app/m.py"}
        attrs = {"name": f"task-{i}", "state": "waiting", **place, "ctx.line": i, "stack": STACK}
        yield node(task(i), "task", i, attrs)
        lock = f"lock:svc0-0.r/{i // 3:07x}"
        yield edge(task(i), lock)
        yield edge(task(choose.randrange(i + 1)), task(i), "spawned")
        if i % 3 == 0:
            yield node(lock, "lock", 0, {"locked": True})
            yield edge(lock, task(choose.randrange(i + 1)))
        elif i % 3 == 1:
            yield edge(task(i), "lock:svc0-0.r/0000000")


def fill(path: Path, rows: int) -> None:
    prepare_database(str(path), 0)
    inserts = {
        "nodes": "INSERT OR IGNORE INTO nodes VALUES (?, ?, ?, ?, ?, ?, ?)",
        "edges": "INSERT OR IGNORE INTO edges VALUES (?, ?, ?, ?, ?)",
    }
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = OFF")
        db.execute("BEGIN")
        db.execute(
            "INSERT INTO snapshots (snapshot_id, requested_at_ns, completed_at_ns, timeout_ms)"
            " VALUES (1, 1, 2, 3)"
        )
        db.executemany(
            "INSERT INTO snapshot_processes (snapshot_id, process, pid, proc_key, status)"
            " VALUES (1, ?, ?, ?, 'responded')",
            [(f"svc{n}", n, f"svc{n}-{n}") for n in range(10)],
        )
        rows_of: dict[str, list[tuple[object, ...]]] = {"nodes": [], "edges": []}
        for table, row in story(rows):
            rows_of[table].append(row)
        for table, found in rows_of.items():
            db.executemany(inserts[table], sorted(found, key=lambda row: row[:3]))
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def best_of(call: Callable[[], object], rounds: int) -> float:
    """Seconds of the quickest of some rounds."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return min(times)


def measure(path: Path, rows: int) -> None:
    rounds = 3 if rows < 1_000_000 else 1
    reads = GraphReads(str(path))
    reads.load(1)

    def sql(text: str, *params: object) -> Callable[[], object]:
        return lambda: reads.rows(text, params)

    some_task = reads.rows("SELECT max(src_id) FROM edges WHERE kind = 'needs'")[0][0]
    hot_lock = "lock:svc0-0.r/0000000"
    (total,) = reads.rows(COUNT)[0]
    count_s = best_of(sql(COUNT), 5)
    print(f"\n{total} rows; select count(*) takes {count_s * 1e3:.2f} ms")

    def ask(question: str, **args: object) -> Callable[[], object]:
        return lambda: questions.answer(str(path), question, args)

    cases: dict[str, Callable[[], object]] = {
        "why": ask("why"),
        "why, of one task": ask("why", subject=some_task),
        "deadlocks": ask("deadlocks"),
        "blockers": ask("blockers"),
        "check": ask("check"),
    }
    cases |= {
        "waits: all of it": sql("SELECT count(needs), count(waiter) FROM waits"),
        "waits: 100": sql("SELECT * FROM waits LIMIT 100"),
        "wait_chains of one": sql("SELECT * FROM wait_chains WHERE start_id = ?", some_task),
        "wait_chains: 1,000": sql("SELECT * FROM wait_chains LIMIT 1000"),
        "waiters_behind one lock": sql(
            "SELECT count(*) FROM waiters_behind WHERE blocker_id = ?", hot_lock
        ),
        "blockers: the top 20": sql("SELECT * FROM blockers ORDER BY waiters DESC LIMIT 20"),
        "unanswered": sql("SELECT * FROM unanswered"),
        "cross_process_edges: all": sql("SELECT count(src), count(dst) FROM cross_process_edges"),
    }
    cases |= {f"query {name}": sql(pack.sql, 100) for name, pack in PACKS.items()}
    for name, call in cases.items():
        seconds = best_of(call, rounds)
        print(f"  {name:32} {seconds * 1e3:10.1f} ms   {seconds / count_s:8.1f} x count(*)")
    reads.close()


def main() -> None:
    for rows in [int(word) for word in sys.argv[1:]] or SIZES:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "bench.sqlite"
            fill(path, rows)
            measure(path, rows)


if __name__ == "__main__":
    main()
