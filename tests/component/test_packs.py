"""The named queries at scale: what they cost grows with the graph, not with its square."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from peepsd.errors import StoreError
from peepsd.store import bounded, cycles
from peepsd.store.graph_reads import GraphReads
from peepsd.store.packs import PACKS
from peepsd.store.scope import narrow
from tests.support.answers_db import START_NS, SnapshotBuilder, ask, new_database

Edge = tuple[str, str]


def _out(count: int) -> Iterator[Edge]:
    """One task needs sockets that nobody has."""
    for n in range(count):
        yield "task:hub", f"socket:{n}"


def _in(count: int) -> Iterator[Edge]:
    for n in range(count):
        yield f"socket:{n}", "task:hub"


def _both(count: int) -> Iterator[Edge]:
    yield from _out(count)
    yield from _in(count)


def _one_connection(count: int) -> Iterator[Edge]:
    """All callers and all servers at one connection: as many pairs as the square."""
    yield "socket:a", "socket:b"
    for n in range(count):
        yield f"task:c{n}", "socket:a"
        yield "socket:b", f"task:s{n}"


def _requests(count: int) -> Iterator[Edge]:
    for n in range(count):
        yield f"task:c{n}", f"socket:a{n}"
        yield f"socket:a{n}", f"socket:b{n}"
        yield f"socket:b{n}", f"task:s{n}"


def _cost(path: Path, edges: Iterator[Edge]) -> int:
    """How many thousand steps SQLite's machine takes for requests-between."""
    db = new_database(path)
    db.execute("BEGIN")
    s = SnapshotBuilder(db, 1, START_NS)
    s.process("p", 1)
    tasks = set()
    for edge in edges:
        s.edge(*edge)
        tasks.update(i for i in edge if i.startswith("task:"))
    for task in tasks:
        s.node(task, "p-1")
    db.execute("COMMIT")
    db.close()
    reads = GraphReads(str(path))
    narrow(reads.connection, 1)
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    reads.connection.set_progress_handler(count, 1000)
    reads.rows(PACKS["requests-between"].sql, (100,))
    reads.close()
    return steps


@pytest.mark.parametrize("shape", [_out, _in, _both, _one_connection, _requests])
def test_requests_are_found_in_steps_that_grow_with_the_edges(
    tmp_path: Path, shape: Callable[[int], Iterator[Edge]]
) -> None:
    small, large = (_cost(tmp_path / f"{n}.sqlite", shape(n)) for n in (500, 2000))
    assert large <= 6 * small + 10


def test_of_many_ends_of_a_connection_some_are_told(tmp_path: Path) -> None:
    path = tmp_path / "d.sqlite"
    _cost(path, _one_connection(40))
    with sqlite3.connect(path) as db:
        rows = db.execute(PACKS["requests-between"].sql, (5000,)).fetchall()
    db.close()
    assert len({row[0] for row in rows}) == 40, "every caller"
    assert len(rows) == 40 * 16


def test_a_query_that_takes_too_long_says_so(tmp_path: Path) -> None:
    path = tmp_path / "d.sqlite"
    _cost(path, _one_connection(400))
    reads = GraphReads(str(path))
    narrow(reads.connection, 1)
    with pytest.raises(StoreError, match="took longer than 0 s and was given up"):
        bounded.answer(reads.connection, 1, PACKS["requests-between"].sql, [100], deadline_s=0)
    found = bounded.answer(reads.connection, 1, "SELECT count(*) FROM edges", [])
    assert found["rows"] == [[801]], "the next one has its own time"
    reads.close()


def test_a_chain_is_no_cycle_however_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In its SQL each node of the chain starts a walk: the graph answers, in one pass."""
    steps = 0

    @contextmanager
    def counting(connection: sqlite3.Connection, seconds: float) -> Iterator[None]:
        def count() -> int:
            nonlocal steps
            steps += 1
            return 0

        connection.set_progress_handler(count, 100)
        yield

    monkeypatch.setattr(bounded, "_stopping_after", counting)
    costs = []
    for length in (250, 1000):
        path = tmp_path / f"{length}.sqlite"
        _cost(path, ((f"task:{n}", f"task:{n + 1}") for n in range(length)))
        steps = 0
        assert ask(path, "query", name="cycles")["rows"] == []
        costs.append(steps)
    assert costs[1] <= 6 * costs[0] + 10


def test_cycles_are_those_of_the_sql(tmp_path: Path) -> None:
    path = tmp_path / "d.sqlite"
    circle = [(f"task:{n}", f"task:{(n + 1) % 30}") for n in range(30)]
    others = [("task:self", "task:self"), ("task:a", "lock:l"), ("lock:l", "task:a")]
    behind = [("task:late", "task:3"), ("task:3", "task:free"), ("task:free", "lock:x")]
    _cost(path, iter([*circle, *others, *behind]))
    reads = GraphReads(str(path))
    narrow(reads.connection, 1)
    found = cycles.answer(reads, 1, 1000)
    by_sql = bounded.answer(reads.connection, 1, PACKS["cycles"].sql, [1000])
    assert found == by_sql
    assert len(found["rows"]) == 32
    assert len(cycles.answer(reads, 1, 5)["rows"]) == 5
    reads.close()
