"""What a stranger's SQL may do: the decisions, without a database.

Decides which functions, tables and statements are allowed, how large everything may be, and what
a refusal says. Refuses to know connections and processes. Default is to refuse.

How SQLite asks: for every table column that a statement reads, its authorizer is called with the
table, the column, the database and the *source*, the innermost view or CTE by the name that was
typed. A CTE may bear any name, so a source proves something only if nobody can guess it: each
table is reached through an inner view whose name is a fresh 128 bit secret.

And it does not ask about the columns of NATURAL and USING joins. So this is the second fence; the
first is that nothing else in the file has a name (sandbox_views.py).
"""

import re
import sqlite3
from collections.abc import Collection, Mapping
from typing import Final

MAX_ROWS: Final = 5000
MAX_RESULT_BYTES: Final = 4 * 1024 * 1024
"""Of encoded JSON: column names and rows."""

SOFT_DEADLINE_S: Final = 0.75
"""Then a statement is stopped and what it has given so far is returned."""

HARD_DEADLINE_S: Final = 1.25
"""Then its process is killed: preparing, or one long function call, cannot be stopped softly."""

PROGRESS_OPCODES: Final = 1000
HEAP_BYTES: Final = 64 * 1024 * 1024

MAX_SQL_BYTES: Final = 64 * 1024
MAX_PARAMS: Final = 100

LIMITS: Final[Mapping[int, int]] = {
    sqlite3.SQLITE_LIMIT_LENGTH: 1024 * 1024,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: MAX_SQL_BYTES,
    sqlite3.SQLITE_LIMIT_COLUMN: 200,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 100,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 50,
    sqlite3.SQLITE_LIMIT_VDBE_OP: 25_000,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 200,
    sqlite3.SQLITE_LIMIT_FUNCTION_ARG: 16,
    sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER: MAX_PARAMS,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}

JSON_TABLES: Final = frozenset({"json_each", "json_tree"})

_SCALAR = """abs char coalesce concat concat_ws format glob hex if ifnull iif instr length like
    likelihood likely lower ltrim max min nullif octet_length printf quote random replace round
    rtrim sign sqlite_version substr substring trim typeof unhex unicode unistr unlikely upper
    zeroblob"""
_TIME = """current_date current_time current_timestamp date datetime julianday strftime time
    timediff unixepoch"""
_AGGREGATE = """avg count group_concat max median min percentile percentile_cont percentile_disc
    string_agg sum total"""
_WINDOW = """cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank
    rank row_number"""
_JSON = """-> ->> json json_array json_array_length json_error_position json_extract
    json_group_array json_group_object json_insert json_object json_patch json_pretty json_quote
    json_remove json_replace json_set json_type json_valid"""
_MATH = """acos acosh asin asinh atan atan2 atanh ceil ceiling cos cosh degrees exp floor ln log
    log10 log2 mod pi pow power radians sin sinh sqrt tan tanh trunc"""

FUNCTIONS: Final = frozenset(" ".join((_SCALAR, _TIME, _AGGREGATE, _WINDOW, _JSON, _MATH)).split())
"""A list of what is allowed: fts3_tokenizer, for one, crashes the process."""

_NO_SUCH_TABLE: Final = re.compile("no such table: (.+)", re.S)


class Authorizer:
    """SQLite's authorizer callback for one request.

    schema: the secret name under which the file is attached.
    inner: name of each secret view -> the table that only it may read.
    outer: names that users type, all of them views in the temp database.
    hidden: names of all other tables, views and modules of the connection, lower case.
    """

    def __init__(
        self,
        schema: str,
        inner: Mapping[str, str],
        outer: Collection[str],
        hidden: Collection[str],
    ) -> None:
        self._schema = schema
        self._inner = inner
        self._outer = frozenset(outer)
        self._hidden = frozenset(hidden)
        self.refusal: str | None = None
        """Why the first refused action was refused, in words for the user."""

    def __call__(
        self,
        action: int,
        arg1: str | None,
        arg2: str | None,
        database: str | None,
        source: str | None,
    ) -> int:
        """sqlite3.SQLITE_OK or SQLITE_DENY."""
        refusal = self.decide(action, arg1, arg2, database, source)
        if refusal is None:
            return sqlite3.SQLITE_OK
        self.refusal = self.refusal or refusal
        return sqlite3.SQLITE_DENY

    def decide(
        self,
        action: int,
        arg1: str | None,
        arg2: str | None,
        database: str | None,
        source: str | None,
    ) -> str | None:
        """None if allowed, else why not."""
        if source is not None and self._is_hidden(source):
            return self._no_such_table(source)  # a view somebody else put into the file
        if action == sqlite3.SQLITE_READ:
            return self._decide_read(arg1 or "", arg2 or "", database, source)
        if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE):
            return None
        if action == sqlite3.SQLITE_FUNCTION:
            name = (arg2 or "").lower()
            return None if name in FUNCTIONS else f"the function {name}() is not available here"
        if action == sqlite3.SQLITE_PRAGMA:
            return f"PRAGMA is not available here; the tables are {self._tables()}"
        return "only a single SELECT (or WITH, or VALUES) is possible: this view is read-only"

    def _decide_read(
        self, table: str, column: str, database: str | None, source: str | None
    ) -> str | None:
        name = table.lower()
        if database == self._schema and source is not None and self._inner.get(source) == table:
            return None
        if database == "temp" and (name in self._outer or table in self._inner):
            return None
        if name in JSON_TABLES and name not in self._hidden and database in ("main", None):
            return None
        # A table, view or CTE of which no column is used, by the name that was typed.
        if column == "" and database is None and not self._is_hidden(table):
            return None
        return self._plain_name(name) if name in self._outer else self._no_such_table(table)

    def in_our_words(self, error: str) -> str:
        """An error of SQLite's, in terms of what there is here."""
        match = _NO_SUCH_TABLE.fullmatch(error)
        if match is None:
            return error
        name = match[1].rpartition(".")[2]
        return self._plain_name(name) if name in self._outer else self._no_such_table(match[1])

    def _plain_name(self, name: str) -> str:
        return f"{name} is read by its plain name, without a database before it"

    def _is_hidden(self, name: str) -> bool:
        name = name.lower()
        return name in self._hidden or name.startswith(("sqlite_", "pragma_"))

    def _no_such_table(self, name: str) -> str:
        return f"no such table: {name[:100]}; there are {self._tables()}"

    def _tables(self) -> str:
        return ", ".join(sorted(name for name in self._outer if not name.startswith("prev_")))


def refuse_params(params: object) -> str | None:
    """Why `params` cannot be bound, or None if they can."""
    if not isinstance(params, list | tuple):
        return "params must be a list, bound to the ? of the statement in order"
    if len(params) > MAX_PARAMS:
        return f"at most {MAX_PARAMS} params, not {len(params)}"
    for position, value in enumerate(params, start=1):
        if value is None or isinstance(value, bool | str):
            continue
        if isinstance(value, int):
            if not -(1 << 63) <= value < 1 << 63:
                return f"params: value {position} does not fit into 64 bits"
        elif not isinstance(value, float):
            return f"params: value {position} must be null, a boolean, a number or a string"
        elif value != value or value in (float("inf"), float("-inf")):
            return f"params: value {position} is not a finite number"
    return None


def refuse_sql(sql: object) -> str | None:
    """Why `sql` is not even tried, or None."""
    if not isinstance(sql, str) or not sql.strip():
        return "sql must be a string holding one SELECT statement"
    if "\0" in sql:
        return "sql contains a NUL character"
    try:
        size = len(sql.encode())
    except UnicodeEncodeError:
        return "sql contains half of a surrogate pair; it must be valid Unicode"
    if size > MAX_SQL_BYTES:
        return f"sql has {size} bytes; at most {MAX_SQL_BYTES} are possible"
    return None
