"""Which views stand for which tables, and that each is narrowed to its snapshot."""

import re
import sqlite3

import pytest

from peepsd.store.sandbox_views import Catalogue, Scope, cover, schema_name

TABLES = """
CREATE TABLE snapshots (snapshot_id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER);
CREATE TABLE nodes (snapshot_id INTEGER NOT NULL, id TEXT, "odd ""name" TEXT);
CREATE TABLE settings (name TEXT, value TEXT);
"""
SCHEMA = f"""{TABLES}
CREATE INDEX by_id ON nodes (id);
CREATE VIEW pairs (one, other) AS -- comment
    SELECT a.id, b.id FROM nodes a, nodes b WHERE a.snapshot_id = b.snapshot_id;
CREATE VIEW firsts AS WITH p AS (SELECT one FROM pairs) SELECT * FROM p;
"""
SCOPE = Scope(7, 5, "cafe")


def in_scope(db: sqlite3.Connection, sql: str, scope: Scope = SCOPE) -> list[tuple[object, ...]]:
    for statement in scope.ddl(Catalogue.of_schema(SCHEMA), sql):
        db.execute(statement)
    return db.execute(sql).fetchall()


@pytest.fixture
def db() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:")
    db.execute(f"ATTACH ':memory:' AS {schema_name(SCOPE.secret)}")
    db.executescript(re.sub("CREATE TABLE ", f"CREATE TABLE {schema_name(SCOPE.secret)}.", TABLES))
    db.executemany("INSERT INTO snapshots VALUES (?, 0)", [(5,), (6,), (7,), (8,)])
    db.executemany(
        "INSERT INTO nodes VALUES (?, ?, 'o')",
        [(5, "old"), (6, "other"), (7, "new"), (7, "newer"), (8, "later")],
    )
    return db


def test_a_catalogue_holds_what_belongs_to_snapshots() -> None:
    catalogue = Catalogue.of_schema(SCHEMA)
    assert catalogue.tables == {
        "snapshots": ["snapshot_id", "at"],
        "nodes": ["snapshot_id", "id", 'odd "name'],
    }
    assert {name: columns for name, (columns, _) in catalogue.views.items()} == {
        "pairs": ["one", "other"],
        "firsts": ["one"],
    }
    assert catalogue.by_rowid == {"snapshots": "at"}
    assert "prev_pairs" in catalogue.names()
    assert "settings" not in catalogue.names()


def test_each_secret_view_reads_one_table() -> None:
    assert SCOPE.inner(Catalogue.of_schema(SCHEMA)) == {
        "scafe_nodes": "nodes",
        "scafe_prev_nodes": "nodes",
        "scafe_snapshots": "snapshots",
        "scafe_prev_snapshots": "snapshots",
    }


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT id FROM nodes", [("new",), ("newer",)]),
        ('SELECT "odd ""name" FROM nodes LIMIT 1', [("o",)]),
        ("SELECT snapshot_id FROM snapshots", [(7,)]),
        ("SELECT count(*) FROM snapshots", [(1,)]),
        ("SELECT id FROM prev_nodes", [("old",)]),
        ("SELECT id FROM PREV_nodes, snapshots", [("old",)]),
        ("SELECT count(*) FROM pairs", [(4,)]),
        ("SELECT * FROM prev_pairs", [("old", "old")]),
        ("SELECT * FROM prev_firsts", [("old",)]),
        ("SELECT DISTINCT one FROM firsts ORDER BY 1", [("new",), ("newer",)]),
    ],
)
def test_views_show_their_snapshot(
    db: sqlite3.Connection, sql: str, rows: list[tuple[object, ...]]
) -> None:
    assert in_scope(db, sql) == rows
    db.close()


def test_without_a_snapshot_before_there_is_nothing_in_it(db: sqlite3.Connection) -> None:
    assert in_scope(db, "SELECT count(*) FROM prev_nodes", Scope(5, None, "cafe")) == [(0,)]
    db.close()


def test_views_that_cannot_be_named_are_not_created() -> None:
    statements = list(SCOPE.ddl(Catalogue.of_schema(SCHEMA), "SELECT * FROM nodes"))
    assert not any("prev_" in statement for statement in statements)


def test_a_covered_name_means_nothing_any_more(db: sqlite3.Connection) -> None:
    db.execute(f"CREATE TABLE {schema_name(SCOPE.secret)}.one (x)")
    db.execute("INSERT INTO one VALUES (1)")
    db.execute(cover("one"))
    assert db.execute("SELECT count(*) FROM one").fetchone() == (0,)
    with pytest.raises(sqlite3.OperationalError, match="cannot join"):
        db.execute("SELECT x FROM (SELECT 2 AS x) JOIN one USING (x)")
    db.close()
