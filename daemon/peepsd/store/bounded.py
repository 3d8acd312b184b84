"""Rows of the named queries, within bounds of time and size.

Decides how long one may take, how large its answer may be, and what is said where it was cut. The
rows are made of what peers sent, so that one name may be as large as a frame and be in each row.
Refuses to know the questions.
"""

import base64
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from ..core.cut import cut
from ..errors import BadRequest, StoreError, TooLarge

MAX_ROWS_BYTES: Final = 4 * 1024 * 1024
"""As for POST /api/sql; of texts, before they are encoded."""

DEADLINE_S: Final = 5.0

_PROGRESS_OPCODES: Final = 10_000
_CELL_BYTES: Final = 8
"""What a number takes, about."""

Answer = dict[str, Any]


def answer(
    connection: sqlite3.Connection,
    snapshot_id: int,
    sql: str,
    params: Sequence[Any],
    *,
    max_bytes: int = MAX_ROWS_BYTES,
    deadline_s: float = DEADLINE_S,
) -> Answer:
    """What POST /api/sql would answer, with long texts cut. Raises StoreError: it took too long.

    The connection is narrowed to the snapshot already.
    """
    cursor = connection.cursor()
    cursor.row_factory = None
    rows: list[list[Any]] = []
    truncated = None
    with _stopping_after(connection, deadline_s):
        cursor.execute(sql, tuple(params))
        left = max_bytes
        for row in cursor:
            cells = [cell(value) for value in row]
            left -= sum(_size(value) for value in cells)
            if left < 0:
                truncated = "bytes"
                break
            rows.append(cells)
    return {
        "snapshot_id": snapshot_id,
        "columns": [column[0] for column in cursor.description or ()],
        "rows": rows,
        "row_count": len(rows),
        "truncated": truncated,
    }


def cell(value: Any) -> Any:
    """A value of SQLite's as JSON has it, a long text cut."""
    return cut(value) if isinstance(value, str) else as_json(value)


def as_json(value: Any) -> Any:
    """A value of SQLite's as JSON has it."""
    if isinstance(value, bytes):
        return {"$blob": base64.b64encode(value).decode()}
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return {"$real": str(value)}
    return value


def _size(value: Any) -> int:
    return _CELL_BYTES + (len(value) if isinstance(value, str) else 0)


def has_no_room(error: sqlite3.Error) -> bool:
    """Whether SQLite could not keep what it sorts: neither in memory nor in a file."""
    code = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOMEM) or (
        code == sqlite3.SQLITE_IOERR_WRITE
    )


@contextmanager
def _stopping_after(connection: sqlite3.Connection, seconds: float) -> Iterator[None]:
    deadline = time.monotonic() + seconds
    connection.set_progress_handler(lambda: time.monotonic() > deadline, _PROGRESS_OPCODES)
    try:
        yield
    except sqlite3.OperationalError as exc:
        if exc.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            raise StoreError(
                f"the query took longer than {seconds:g} s and was given up",
                hint="ask with SQL about a part of the snapshot, or a copy of the file in sqlite3",
            ) from None
        if has_no_room(exc):
            raise TooLarge(
                "what the query has to sort is larger than there is room for",
                hint="ask with SQL for fewer columns, or read a copy of the file in sqlite3",
            ) from None
        raise BadRequest(f"SQLite says: {exc}") from None
    finally:
        connection.set_progress_handler(None, 0)
