"""How rows get into SQLite: executemany, projecting inside SQLite with json_each, and many rows
to a statement, with an idle and with a busy interpreter. Decides how peepsd.store.rows inserts.

    python bench/bench_store.py
"""

import json
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from side_by_side import compare

from peepsd.core.chunks import ROWS, chunked
from peepsd.store import graphs
from peepsd.store.database import PRAGMAS
from peepsd.store.schema import prepare_database

COUNT = 100_000
ATTRS = json.dumps(
    {"ctx.location": "/srv/app/x.py:10", "ctx.function": "handle", "stack": ["x.py:10 handle"] * 3}
)
NODES = [(f"task:p-1/{i:06x}", "task", "Task", ATTRS) for i in range(COUNT)]

Insert = Callable[[sqlite3.Connection, list[tuple[str, str, str, str]]], object]


def executemany(db: sqlite3.Connection, rows: list[tuple[str, str, str, str]]) -> None:
    db.executemany(
        "INSERT INTO nodes VALUES (1, ?, ?, 'p', 'p-1', ?, ?) ON CONFLICT DO NOTHING",
        [(id, kind, attrs, label) for id, kind, label, attrs in rows],
    )


def json_each(db: sqlite3.Connection, rows: list[tuple[str, str, str, str]]) -> None:
    db.execute(
        "INSERT INTO nodes SELECT 1, value->>0, value->>1, 'p', 'p-1', value->>3, value->>2"
        " FROM json_each(?) WHERE true ON CONFLICT DO NOTHING",
        (json.dumps(rows),),
    )


def many_rows(db: sqlite3.Connection, rows: list[tuple[str, str, str, str]]) -> None:
    for chunk in chunked(rows, 0):
        graphs.NODES.insert(db, (1, "p", "p-1"), chunk)


@contextmanager
def busy(is_busy: bool) -> Iterator[None]:
    """A second thread that always wants the interpreter lock, as a busy event loop does."""
    stop = threading.Event()

    def spin() -> None:
        while not stop.is_set():
            sum(range(500))

    thread = threading.Thread(target=spin)
    if is_busy:
        thread.start()
    yield
    stop.set()
    if is_busy:
        thread.join()


def insert_all(insert: Insert, directory: Path, is_busy: bool) -> None:
    for old in directory.glob("bench.sqlite*"):
        old.unlink()
    path = str(directory / "bench.sqlite")
    prepare_database(path, 0)
    with busy(is_busy), closing(sqlite3.connect(path, isolation_level=None)) as db:
        for pragma in PRAGMAS:
            db.execute(f"PRAGMA {pragma}")
        db.execute("INSERT INTO snapshots (requested_at_ns, timeout_ms) VALUES (1, 1)")
        db.execute("BEGIN IMMEDIATE")
        for i in range(0, COUNT, ROWS):
            insert(db, NODES[i : i + ROWS])
        db.execute("COMMIT")


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        for is_busy in (False, True):
            print(f"{COUNT} nodes into a new database, interpreter {'busy' if is_busy else 'idle'}")
            compare(
                {
                    f.__name__: partial(insert_all, f, Path(directory), is_busy)
                    for f in (executemany, json_each, many_rows)
                }
            )


if __name__ == "__main__":
    main()
