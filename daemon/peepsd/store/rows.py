"""Many rows to a statement.

Decides how many: each statement is one crossing of the interpreter lock, however many rows it
has, so a busy event loop cannot starve the writer as it does with executemany, which takes the
lock for every row (bench/bench_store.py). Refuses to know what the rows are.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from ..core.chunks import Chunk, Value

MAX_ROWS: Final = 1024
"""To a statement. Statements exist for powers of two, so that few are compiled and kept."""


@dataclass(frozen=True, slots=True)
class Table:
    """Where rows go. Every column of `constant` is the same for all rows of one call; those of
    `columns` come row by row."""

    name: str
    constant: tuple[str, ...]
    columns: tuple[str, ...]

    def insert(self, db: sqlite3.Connection, constant: Sequence[object], chunk: Chunk) -> int:
        """Insert the rows that clash with none; returns how many those were."""
        width, values = len(self.columns), chunk.unpacked()
        inserted = start = 0
        while start < chunk.count:
            rows = min(MAX_ROWS, 1 << (chunk.count - start).bit_length() - 1)
            part = values[start * width : (start + rows) * width]
            if chunk.is_heavy:
                inserted += self._insert_heavy(db, constant, part)
            else:
                inserted += db.execute(_insert(self, rows), [*constant, *part]).rowcount
            start += rows
        return inserted

    def _insert_heavy(
        self, db: sqlite3.Connection, constant: Sequence[object], row: Sequence[Value]
    ) -> int:
        """One row. A statement keeps what was bound to it last, so it is executed once more with
        nothing bound, and its condition false."""
        sql = _insert(self, 1, is_heavy=True)
        inserted = db.execute(sql, [*constant, *row, True]).rowcount
        db.execute(sql, [None] * (len(constant) + len(row)) + [False])
        return inserted


@cache
def _insert(table: Table, rows: int, *, is_heavy: bool = False) -> str:
    """The statement. Its parameters have no numbers: from Python 3.12 on sqlite3 looks for the
    name of each, which takes forty times as long if they have any."""
    value, condition = ("CAST(? AS TEXT)", "?") if is_heavy else ("?", "true")
    row = f"({', '.join([value] * len(table.columns))})"
    taken = [f"column{n}" for n in range(1, len(table.columns) + 1)]
    return (
        f"INSERT INTO {table.name} ({', '.join(table.constant + table.columns)})"
        f" SELECT {', '.join(['?'] * len(table.constant) + taken)}"
        f" FROM (VALUES {', '.join([row] * rows)}) WHERE {condition} ON CONFLICT DO NOTHING"
    )
