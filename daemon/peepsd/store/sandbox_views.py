"""The views through which a stranger's SQL sees one snapshot.

Decides which tables and views of schema.sql are offered and how each is narrowed to a snapshot.
Takes them from the schema that we ship, never from the file: whoever can write to the file could
have put a view there. Refuses to know who asks.

The file is attached under a secret name, and every other name in it is covered by an empty view:
what cannot be named cannot be read. Of every table there are two views: `s<secret>_nodes` selects
the snapshot's rows, `nodes` selects from that (sandbox_rules.py says why). The same once more for
the snapshot before it, as `prev_nodes`.
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Final

PREVIOUS: Final = "prev_"
SNAPSHOT_COLUMN: Final = "snapshot_id"

_VIEW: Final = re.compile(r"CREATE\s+VIEW\s+\S+?\s*(?:\([^)]*\))?\s+AS\s+(.*)", re.S | re.I)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What is offered, in the order of creation: table -> columns, view -> (columns, SELECT).

    by_rowid: the tables in which snapshot_id is the rowid itself -> another of their columns.
    """

    tables: dict[str, list[str]]
    views: dict[str, tuple[list[str], str]]
    by_rowid: dict[str, str]

    @classmethod
    def of_schema(cls, schema_sql: str) -> "Catalogue":
        """Read it off the shipped DDL. Raises sqlite3.Error or ValueError if that is not usable."""
        tables: dict[str, list[str]] = {}
        views: dict[str, tuple[list[str], str]] = {}
        by_rowid: dict[str, str] = {}
        with closing(sqlite3.connect(":memory:")) as db:
            db.executescript(schema_sql)
            found = db.execute(
                "SELECT type, name, sql FROM sqlite_schema WHERE type IN ('table', 'view')"
                " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid"
            )
            for kind, name, sql in found.fetchall():
                info = db.execute(f"PRAGMA table_info({_quote(name)})").fetchall()
                columns = [column for _, column, *_ in info]
                if kind == "view":
                    views[name] = (columns, _select_of(name, sql))
                elif SNAPSHOT_COLUMN in columns:
                    tables[name] = columns
                    if [row[1] for row in info if row[5]] == [SNAPSHOT_COLUMN]:
                        by_rowid[name] = next(c for c in columns if c != SNAPSHOT_COLUMN)
        return cls(tables, views, by_rowid)

    def names(self) -> list[str]:
        """All names that users may type."""
        plain = [*self.tables, *self.views]
        return plain + [PREVIOUS + name for name in plain]


def schema_name(secret: str) -> str:
    """The name under which the file is attached."""
    return f"s{secret}"


@dataclass(frozen=True, slots=True)
class Scope:
    """One request's snapshot, the complete one before it (None: there is none), and its secret."""

    snapshot_id: int
    previous_id: int | None
    secret: str

    def inner(self, catalogue: Catalogue) -> dict[str, str]:
        """Secret view -> the table that it alone reads."""
        return {
            f"{schema_name(self.secret)}_{prefix}{table}": table
            for prefix in ("", PREVIOUS)
            for table in catalogue.tables
        }

    def ddl(self, catalogue: Catalogue, sql: str) -> Iterator[str]:
        """Statements that create the views which `sql` can name."""
        schema, wanted = schema_name(self.secret), sql.lower()
        generations: list[tuple[str, int | None]] = [("", self.snapshot_id)]
        if PREVIOUS in wanted:  # views that are not there cost nothing
            generations.append((PREVIOUS, self.previous_id))
        for prefix, snapshot_id in generations:
            for table, columns in catalogue.tables.items():
                inner = f"{schema}_{prefix}{table}"
                select = (
                    f"SELECT {', '.join(map(_quote, columns))} FROM {schema}.{_quote(table)}"
                    f" WHERE {SNAPSHOT_COLUMN} = {_literal(snapshot_id)}"
                )
                if table in catalogue.by_rowid:
                    # A read of nothing but the rowid is reported like one of no column at all,
                    # by anybody. Name a column, so that it is reported as ours.
                    select += f" AND typeof({_quote(catalogue.by_rowid[table])}) <> ''"
                yield _create(inner, select)
                yield _create(prefix + table, f"SELECT * FROM {_quote(inner)}")
            for view, (columns, select) in catalogue.views.items():
                body = _over_previous(catalogue, select) if prefix else select
                yield _create(prefix + view, body, columns)


def cover(name: str) -> str:
    """The statement that hides a name: unqualified, it means an empty view from now on.

    The authorizer refuses that view. It alone is not enough: SQLite does not ask it about the
    columns of NATURAL and USING joins, and FULL JOIN ... USING reads whole tables by them.
    """
    return _create(name, "SELECT NULL AS hidden WHERE 0")


def _over_previous(catalogue: Catalogue, select: str) -> str:
    """The same SELECT with every name that it uses meaning the previous snapshot's."""
    words = set(re.findall(r"\w+", select))
    ctes = ", ".join(
        f"{_quote(name)} AS NOT MATERIALIZED (SELECT * FROM {_quote(PREVIOUS + name)})"
        for name in [*catalogue.tables, *catalogue.views]
        if name in words
    )
    return f"WITH {ctes} SELECT * FROM ({select}\n)" if ctes else select


def _select_of(name: str, sql: str) -> str:
    match = _VIEW.match(sql)
    if match is None:
        raise ValueError(f"schema.sql: cannot find the SELECT of view {name}")
    return match[1].strip().rstrip(";")


def _create(name: str, select: str, columns: list[str] | None = None) -> str:
    names = f"({', '.join(map(_quote, columns))})" if columns else ""
    return f"CREATE TEMP VIEW {_quote(name)}{names} AS {select}"


def _literal(snapshot_id: int | None) -> str:
    return "NULL" if snapshot_id is None else str(int(snapshot_id))


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
