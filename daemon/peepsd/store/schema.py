"""Which version of the schema a database has, and how it becomes the current one.

Decides: a new file gets schema.sql; an older one is migrated in one transaction, so that a
crash leaves the old one whole; a newer one is refused. A database without a version but with
our tables was written by the original peeps: its columns are all ours, so its rows are kept.
Refuses to know what rows mean. Runs once at start, before anything else uses the file.
"""

import os
import sqlite3
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from ..errors import SchemaVersionError, StoreError
from .claim import open_private

SCHEMA_VERSION = 1
BUSY_TIMEOUT_MS = 5000

INTERRUPTED = "peepsd stopped before this snapshot was complete"

_TABLES = (
    "snapshots",
    "snapshot_processes",
    "nodes",
    "edges",
    "unresolved_edges",
    "ingest_events",
)


def schema_sql() -> str:
    """The text of schema.sql: from the installed package, or from the source tree."""
    installed = resources.files("peepsd") / "schema.sql"
    if installed.is_file():
        return installed.read_text(encoding="utf-8")
    return (Path(__file__).parents[3] / "schema.sql").read_text(encoding="utf-8")


def prepare_database(path: str, now_ns: int) -> list[str]:
    """Create, migrate or recover the database at `path`; returns what was done, in words.

    Raises SchemaVersionError for a newer database, StoreError for a file that cannot be used.
    """
    os.close(open_private(path))
    try:
        connection = sqlite3.connect(path, isolation_level=None)
        try:
            connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
            done = _bring_up_to_date(connection, path)
            done += _close_interrupted(connection, now_ns)
            return done
        finally:
            connection.close()
    except sqlite3.Error as exc:
        raise StoreError(
            f"cannot use {path} as a database: {exc}",
            hint="is it another program's file, on a full or read-only disk, or locked?",
        ) from exc


def _bring_up_to_date(connection: sqlite3.Connection, path: str) -> list[str]:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise SchemaVersionError(
            f"{path} was written by a newer peepsd (schema {version}, this one knows"
            f" {SCHEMA_VERSION})",
            hint="upgrade peepsd, or choose another file with PEEPS_DB",
        )
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema")}
    if version == 0 and not tables:
        # Only an empty file takes this; it lets the file shrink after deletions.
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    if version == SCHEMA_VERSION:
        return []
    ours = [t for t in _TABLES if t in tables]
    if tables and not ours:
        raise StoreError(
            f"{path} is somebody else's database (tables: {', '.join(sorted(tables)[:5])})",
            hint="choose another file with PEEPS_DB",
        )
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute("BEGIN IMMEDIATE")
    try:
        done = _migrate_original(connection, ours) if ours else _create(connection, path)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return done


def _create(connection: sqlite3.Connection, path: str) -> list[str]:
    for statement in _statements(schema_sql()):
        connection.execute(statement)
    return [f"created {path}"]


def _migrate_original(connection: sqlite3.Connection, tables: list[str]) -> list[str]:
    """Rebuild the original's tables with our columns; rows that break a constraint of ours are
    counted, not hidden."""
    lost = 0
    indexes = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL"
    ).fetchall()
    for (name,) in indexes:
        connection.execute(f'DROP INDEX "{name}"')
    for table in tables:
        connection.execute(f"ALTER TABLE {table} RENAME TO original_{table}")
    for statement in _statements(schema_sql()):
        connection.execute(statement)
    for table in tables:
        ours = _columns(connection, table)
        common = ", ".join(c for c in _columns(connection, f"original_{table}") if c in ours)
        before = _count(connection, f"original_{table}")
        connection.execute(
            f"INSERT OR IGNORE INTO {table} ({common}) SELECT {common} FROM original_{table}"
        )
        lost += before - _count(connection, table)
        connection.execute(f"DROP TABLE original_{table}")
    done = [f"migrated the database of the original peeps to schema {SCHEMA_VERSION}"]
    if lost:
        done.append(f"{lost} rows of it were invalid or duplicates and were left out")
    return done


def _close_interrupted(connection: sqlite3.Connection, now_ns: int) -> list[str]:
    """A snapshot that a crash cut short is closed, and says so. Its processes that answered are
    whole (one transaction a reply); the others are there as errors from the start."""
    cursor = connection.execute(
        "UPDATE snapshots SET completed_at_ns = ?, interrupted = ? WHERE completed_at_ns IS NULL",
        (now_ns, INTERRUPTED),
    )
    n = cursor.rowcount
    return [f"closed {n} snapshot{'s' if n > 1 else ''} cut short by a crash"] if n else []


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]


def _count(connection: sqlite3.Connection, table: str) -> int:
    (n,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(n)


def _statements(script: str) -> Iterator[str]:
    """The script's statements one by one: executescript would commit the transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
