"""Many rows to a statement: all of them, none twice, and no giant text kept afterwards."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from peepsd.core.chunks import HEAVY_BYTES, chunked
from peepsd.store.rows import Table

TABLE = Table("t", ("sid",), ("id", "text"))


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.execute("CREATE TABLE t (sid, id TEXT PRIMARY KEY, text TEXT) WITHOUT ROWID")
        yield db


@pytest.mark.parametrize("count", [1, 2, 3, 1000, 1023, 1024])
def test_any_number_of_rows(db: sqlite3.Connection, count: int) -> None:
    rows = [(f"{n:05}", None if n % 3 else f"text {n}") for n in range(count)]
    (chunk,) = chunked(rows, 0)
    assert TABLE.insert(db, [7], chunk) == count
    assert db.execute("SELECT id, text FROM t ORDER BY id").fetchall() == rows
    assert db.execute("SELECT DISTINCT sid FROM t").fetchall() == [(7,)]


def test_rows_that_clash_are_left_out_and_not_counted(db: sqlite3.Connection) -> None:
    first, second = chunked([("a", "1"), ("b", "1")], 0), chunked([("b", "2"), ("c", "2")], 0)
    assert [TABLE.insert(db, [1], chunk) for chunk in (*first, *second)] == [2, 1]
    assert db.execute("SELECT * FROM t").fetchall() == [(1, "a", "1"), (1, "b", "1"), (1, "c", "2")]


@pytest.mark.parametrize("is_packed", [False, True])
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_a_giant_text_is_stored_as_text_and_not_kept(tmp_path: Path, is_packed: bool) -> None:
    def resident_bytes() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    with closing(sqlite3.connect(tmp_path / "x.sqlite", isolation_level=None)) as db:
        db.execute("CREATE TABLE t (sid, id TEXT PRIMARY KEY, text TEXT) WITHOUT ROWID")
        before = resident_bytes()
        for n in range(2):
            (chunk,) = chunked([(f"id {n}", "x" * (64 * HEAVY_BYTES))], 64 * HEAVY_BYTES)
            if is_packed:
                chunk = chunk.as_packed()
            assert TABLE.insert(db, [1], chunk) == 1
            del chunk
        assert resident_bytes() - before < 40 << 20
        assert db.execute("SELECT id, length(text), typeof(text) FROM t").fetchall() == [
            ("id 0", 64 * HEAVY_BYTES, "text"),
            ("id 1", 64 * HEAVY_BYTES, "text"),
        ]


@pytest.mark.parametrize("is_packed", [False, True])
@pytest.mark.parametrize("key", ["x" * 1024, "\U0001f600" * 1024])
def test_letting_go_of_a_giant_text_inserts_nothing(
    db: sqlite3.Connection, key: str, is_packed: bool
) -> None:
    (chunk,) = chunked([(key, "y" * HEAVY_BYTES)], 2 * HEAVY_BYTES)
    if is_packed:
        chunk = chunk.as_packed()
    assert [TABLE.insert(db, [1], chunk) for _ in range(2)] == [1, 0]
    assert db.execute("SELECT id FROM t").fetchall() == [(key,)]
