"""A snapshot, or a few, as a database file of its own.

Decides what such a file is: our schema, those snapshots, no write-ahead log, so that it can be
read from anywhere, a read-only medium included; its owner alone may. Refuses to know where the
rows came from: they are those of the json export.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from ..errors import BadRequest
from .schema import SCHEMA_VERSION, schema_sql

TABLES = ("snapshot_processes", "nodes", "edges", "unresolved_edges")


def share_exported(exported: Sequence[Mapping[str, Any]], output: Path) -> int:
    """Write those json exports to `output`; returns its size in bytes.

    Raises BadRequest if there is a file already, or it cannot be written.
    """
    if output.exists():
        raise BadRequest(f"{output} exists already; choose another name, or remove it")
    part = output.with_name(output.name + ".part")
    try:
        part.unlink(missing_ok=True)
        part.touch(mode=0o600, exist_ok=False)
        _write(exported, part)
        part.rename(output)
    except (OSError, sqlite3.Error) as exc:
        part.unlink(missing_ok=True)
        raise BadRequest(f"cannot write {output}: {exc}") from exc
    return output.stat().st_size


def _write(exported: Sequence[Mapping[str, Any]], path: Path) -> None:
    db = sqlite3.connect(path, isolation_level=None)
    try:
        db.executescript(schema_sql())
        db.execute("BEGIN")
        for one in exported:
            snapshot_id = one["snapshot_id"]
            _insert(db, "snapshots", snapshot_id, [one["snapshot"]])
            for table in TABLES:
                _insert(db, table, snapshot_id, one[table])
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        db.execute("COMMIT")
        db.execute("VACUUM")
    finally:
        db.close()


def _insert(
    db: sqlite3.Connection, table: str, snapshot_id: int, rows: Sequence[Mapping[str, Any]]
) -> None:
    columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
    marks = ", ".join("?" * len(columns))
    db.executemany(
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})",
        ([_value(row, column, snapshot_id) for column in columns] for row in rows),
    )


def _value(row: Mapping[str, Any], column: str, snapshot_id: int) -> Any:
    if column == "snapshot_id":
        return snapshot_id
    if column == "attrs_json":
        return orjson.dumps(row["attrs"]).decode()
    return row[column]
