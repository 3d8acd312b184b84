"""A read-only connection that sees one snapshot, under the names of schema.sql.

Decides how a database file is opened for questions (read-only, never created, its version
checked) and how tables and views are narrowed to one snapshot, so that the same SQL works here,
through POST /api/sql and in sqlite3. For our own SQL only: what strangers send goes through the
sandbox. Refuses to know what is asked.
"""

import sqlite3
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

from ..errors import NotFound, SchemaVersionError, StoreError
from .schema import SCHEMA_VERSION, schema_sql

SCOPED_TABLES = (
    "snapshots",
    "snapshot_processes",
    "nodes",
    "edges",
    "unresolved_edges",
    "ingest_events",
)


@lru_cache(maxsize=1)
def view_definitions() -> tuple[tuple[str, str], ...]:
    """(name, CREATE VIEW statement) of every view of schema.sql, in its order."""
    scratch = sqlite3.connect(":memory:")
    try:
        scratch.executescript(schema_sql())
        rows = scratch.execute(
            "SELECT name, sql FROM sqlite_schema WHERE type = 'view' ORDER BY rowid"
        )
        return tuple((name, sql) for name, sql in rows)
    finally:
        scratch.close()


def open_read_only(path: str) -> sqlite3.Connection:
    """A connection that can neither write nor create. Raises NotFound, StoreError."""
    if not Path(path).is_file():
        raise NotFound(f"there is no database file {path}")
    try:
        connection = sqlite3.connect(
            f"file:{quote(path)}?mode=ro", uri=True, isolation_level=None, cached_statements=256
        )
        version = connection.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.Error as exc:
        raise StoreError(f"cannot read {path} as a database of peepsd: {exc}") from exc
    if version != SCHEMA_VERSION:
        connection.close()
        raise SchemaVersionError(_version_problem(path, version))
    connection.row_factory = sqlite3.Row
    return connection


def _version_problem(path: str, version: int) -> str:
    if version > SCHEMA_VERSION:
        return f"{path} was written by a newer peepsd (schema {version}); update peeps to read it"
    return (
        f"{path} has an older schema ({version}); start peepsd with it once to bring it up to date"
    )


def narrow(connection: sqlite3.Connection, snapshot_id: int, previous: int | None = None) -> None:
    """Make the names of schema.sql mean that snapshot alone, on this connection.

    Under prev_nodes, prev_edges and so on the tables of the `previous` snapshot are there as well,
    empty if there is none.
    """
    for table in SCOPED_TABLES:
        _view(connection, table, _rows_of(table, snapshot_id))
        _view(connection, f"prev_{table}", _rows_of(table, previous))
    for name, sql in view_definitions():
        connection.execute(f"DROP VIEW IF EXISTS temp.{name}")
        connection.execute(sql.replace("CREATE VIEW", "CREATE TEMP VIEW", 1))


def _rows_of(table: str, snapshot_id: int | None) -> str:
    number = "NULL" if snapshot_id is None else str(int(snapshot_id))
    return f"SELECT * FROM main.{table} WHERE snapshot_id = {number}"


def _view(connection: sqlite3.Connection, name: str, select: str) -> None:
    connection.execute(f"DROP VIEW IF EXISTS temp.{name}")
    connection.execute(f"CREATE TEMP VIEW {name} AS {select}")
