"""The child that runs a stranger's SQL: one request, one fresh connection.

Decides the order in which the jail is closed, and what an answer looks like. Refuses to know
which process asks, and relies on being killed if it takes too long. Standard library only.

An answer is b"+" and the JSON for the client, or b"-" and {"kind", "message", "hint"}.
"""

import base64
import functools
import json
import re
import secrets
import sqlite3
import sys
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from . import sandbox_rules as rules
from .sandbox_views import Catalogue, Scope, cover, schema_name

_COMPLETE: Final = "completed_at_ns IS NOT NULL AND interrupted IS NULL"

_MESSAGE_LENGTH: Final = 400
_INFINITIES: Final = (float("inf"), float("-inf"))

_BROKEN: Final = {
    sqlite3.SQLITE_BUSY: "busy",
    sqlite3.SQLITE_CANTOPEN: "gone",
    sqlite3.SQLITE_CORRUPT: "damaged",
    sqlite3.SQLITE_IOERR: "unreadable",
    sqlite3.SQLITE_NOTADB: "no database",
    sqlite3.SQLITE_PERM: "unreadable",
    sqlite3.SQLITE_PROTOCOL: "busy",
}


class Refused(Exception):
    """The request is answered with an error. kind: bad_request, not_found, store."""

    def __init__(self, kind: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.kind, self.message, self.hint = kind, message, hint


def handle(request: bytes) -> bytes:
    """Answer {"database", "catalogue", "sql", "params", "snapshot_id"}."""
    order: dict[str, Any] = json.loads(request)
    try:
        return b"+" + _answer(order)
    except Refused as refused:
        answer = {"kind": refused.kind, "message": refused.message, "hint": refused.hint}
        return b"-" + json.dumps(answer).encode()


def _answer(order: dict[str, Any]) -> bytes:
    _limit_heap()
    catalogue = Catalogue(**order["catalogue"])
    secret = secrets.token_hex(16)
    try:
        with closing(_open(order["database"], schema_name(secret))) as db:
            scope = _find_scope(db, order["snapshot_id"], secret)
            authorizer = _close_jail(db, catalogue, scope, order["sql"])
            try:
                columns, rows, truncated = _run(db, order["sql"], order["params"])
            except (sqlite3.Error, sqlite3.Warning, MemoryError, ValueError) as error:
                raise _explain(error, authorizer, scope) from error
    except sqlite3.Error as error:
        raise Refused("store", f"the database cannot be read: {error}") from error
    head = json.dumps({"snapshot_id": scope.snapshot_id})[1:-1]
    tail = json.dumps({"row_count": len(rows), "truncated": truncated})[1:-1]
    body = ",".join(rows)
    return f'{{{head}, "columns": {columns}, "rows": [{body}], {tail}}}'.encode()


@functools.cache
def _limit_heap() -> None:
    """For the whole process and for good; so it cannot be left to a request."""
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute(f"PRAGMA hard_heap_limit = {rules.HEAP_BYTES}")


@functools.cache
def _modules() -> frozenset[str]:
    """Virtual tables that this SQLite knows; each is also a table that can be named."""
    with closing(sqlite3.connect(":memory:")) as db:
        names = {name.lower() for (name,) in db.execute("PRAGMA module_list")}
    return frozenset(names - rules.JSON_TABLES)


def _open(path: str, schema: str) -> sqlite3.Connection:
    """A connection to nothing, with the file attached under a name that nobody can guess."""
    db = sqlite3.connect(
        "file::memory:", uri=True, isolation_level=None, cached_statements=0, timeout=0.2
    )
    try:
        db.execute(f"ATTACH ? AS {schema}", (Path(path).as_uri() + "?mode=ro",))
        for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "mmap_size = 0"):
            db.execute(f"PRAGMA {pragma}")
        db.execute("PRAGMA temp_store = MEMORY")
        db.execute("BEGIN")  # the names that are hidden and the rows are of the same moment
    except sqlite3.Error:
        db.close()
        raise
    return db


def _find_scope(db: sqlite3.Connection, snapshot_id: int | None, secret: str) -> Scope:
    """The snapshot asked for, by default the latest whole one, and the whole one before it."""
    snapshots = f"{schema_name(secret)}.snapshots"
    (latest,) = db.execute(f"SELECT max(snapshot_id) FROM {snapshots} WHERE {_COMPLETE}").fetchone()
    if snapshot_id is None:
        if latest is None:
            raise Refused(
                "not_found",
                "no snapshot has been taken yet",
                "take one: curl -X POST http://127.0.0.1:9130/api/jump-now",
            )
        snapshot_id = latest
    elif not db.execute(
        f"SELECT 1 FROM {snapshots} WHERE snapshot_id = ?", (snapshot_id,)
    ).fetchone():
        known = f"the latest is {latest}; " if latest is not None else ""
        raise Refused(
            "not_found",
            f"there is no snapshot {snapshot_id}",
            f"{known}GET /api/snapshots lists them all",
        )
    (previous,) = db.execute(
        f"SELECT max(snapshot_id) FROM {snapshots} WHERE snapshot_id < ? AND {_COMPLETE}",
        (snapshot_id,),
    ).fetchone()
    return Scope(int(snapshot_id), previous, secret)


def _close_jail(
    db: sqlite3.Connection, catalogue: Catalogue, scope: Scope, sql: str
) -> rules.Authorizer:
    """Views first, then limits, the authorizer last, so that it refuses them and not us."""
    outer = {name.lower() for name in catalogue.names()}
    schema = schema_name(scope.secret)
    names = {
        name.lower()
        for (name,) in db.execute(
            f"SELECT name FROM {schema}.sqlite_schema WHERE type IN ('table', 'view')"
        )
    }
    hidden = names - outer | _modules()
    db.execute("PRAGMA writable_schema = ON")  # to cover names that begin with sqlite_
    for name in names - outer:
        db.execute(cover(name))
    db.execute("PRAGMA writable_schema = OFF")
    for statement in scope.ddl(catalogue, sql):
        db.execute(statement)
    for table in rules.JSON_TABLES - hidden:  # their first use would need more than SELECT
        db.execute(f"SELECT 1 FROM {table}('[]')").fetchall()
    db.execute("PRAGMA query_only = ON")
    if sys.version_info >= (3, 12):
        db.setconfig(sqlite3.SQLITE_DBCONFIG_DEFENSIVE, True)
    for limit, value in rules.LIMITS.items():
        db.setlimit(limit, value)
    db.text_factory = lambda raw: raw.decode(errors="replace")
    authorizer = rules.Authorizer(schema, scope.inner(catalogue), outer, hidden)
    db.set_authorizer(authorizer)
    return authorizer


def _run(
    db: sqlite3.Connection, sql: str, params: list[object]
) -> tuple[str, list[str], str | None]:
    """Column names as JSON, rows as JSON each, and what cut them short, if anything did."""
    deadline = time.monotonic() + rules.SOFT_DEADLINE_S
    db.set_progress_handler(lambda: time.monotonic() > deadline, rules.PROGRESS_OPCODES)
    columns, rows = "[]", list[str]()
    try:
        cursor = db.execute(sql, params)
        if cursor.description is None:
            raise Refused("bad_request", "there is no statement: sql must hold one SELECT")
        columns = _encode([name for name, *_ in cursor.description])
        left = rules.MAX_RESULT_BYTES - len(columns.encode())
        if left < 0:
            raise Refused("bad_request", "the column names are too long: name them with AS")
        for row in cursor:
            if len(rows) == rules.MAX_ROWS:
                return columns, rows, "rows"
            if time.monotonic() > deadline:
                return columns, rows, "time"
            if _raw_size(row) > left:
                return columns, rows, "bytes"
            encoded = _encode_row(row)
            left -= 1 + (len(encoded) if encoded.isascii() else len(encoded.encode()))
            if left < 0:
                return columns, rows, "bytes"
            rows.append(encoded)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        return columns, rows, "time"
    return columns, rows, None


def _raw_size(row: Iterable[object]) -> int:
    return sum(len(cell) for cell in row if isinstance(cell, str | bytes))


def _blob(cell: object) -> dict[str, str]:
    if not isinstance(cell, bytes):
        raise TypeError(f"SQLite has no {type(cell)}")
    return {"$blob": base64.b64encode(cell).decode()}


_encode = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_blob
).encode


def _encode_row(row: tuple[object, ...]) -> str:
    try:
        return _encode(row)
    except ValueError:  # JSON has no infinity; SQLite has no NaN
        return _encode([{"$real": str(c)} if c in _INFINITIES else c for c in row])


def _explain(error: BaseException, authorizer: rules.Authorizer, scope: Scope) -> Refused:
    """What went wrong, in words for the user, without the secret."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _BROKEN:
        return Refused("store", f"the database is {_BROKEN[code]}", "try again in a moment")
    if authorizer.refusal is not None:
        return Refused("bad_request", authorizer.refusal)
    if isinstance(error, MemoryError) or code == sqlite3.SQLITE_NOMEM:
        megabytes = rules.HEAP_BYTES >> 20
        message = f"the statement needs more than {megabytes} MiB of memory"
        return Refused("bad_request", message, "select fewer rows, or join fewer tables")
    if code == sqlite3.SQLITE_TOOBIG:
        message = "a value is larger than 1 MiB, or the statement is too large"
        return Refused("bad_request", message)
    text = re.sub(f"{schema_name(scope.secret)}[_.]", "", str(error))
    text = authorizer.in_our_words(text)
    return Refused("bad_request", text[:_MESSAGE_LENGTH] or type(error).__name__)
