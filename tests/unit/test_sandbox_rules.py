"""The authorizer's decisions, row by row, as SQLite asks for them."""

import sqlite3
from typing import Any

import pytest

from peepsd.store.sandbox_rules import FUNCTIONS, Authorizer, refuse_params, refuse_sql

SECRET = "s0123456789abcdef0123456789abcdef"
INNER = {f"{SECRET}_nodes": "nodes", f"{SECRET}_prev_nodes": "nodes", f"{SECRET}_edges": "edges"}
OUTER = ("nodes", "edges", "waits", "prev_nodes", "prev_edges", "prev_waits")
HIDDEN = ("one", "leaky", "sqlite_sequence", "dbstat", "nodes_fts")

READ, SELECT = sqlite3.SQLITE_READ, sqlite3.SQLITE_SELECT


def authorizer(hidden: tuple[str, ...] = HIDDEN) -> Authorizer:
    return Authorizer(SECRET, INNER, OUTER, hidden)


@pytest.mark.parametrize(
    "question",
    [
        (SELECT, None, None, None, None),
        (SELECT, None, None, None, "nodes"),
        (SELECT, None, None, None, "a_cte"),
        (sqlite3.SQLITE_RECURSIVE, None, None, None, "chain"),
        (READ, "nodes", "id", SECRET, f"{SECRET}_nodes"),
        (READ, "nodes", "id", SECRET, f"{SECRET}_prev_nodes"),
        (READ, "nodes", "", SECRET, f"{SECRET}_nodes"),
        (READ, f"{SECRET}_nodes", "id", "temp", "nodes"),
        (READ, "nodes", "id", "temp", None),
        (READ, "NODES", "id", "temp", None),
        (READ, "waits", "src", "temp", "a_cte"),
        (READ, "nodes", "", None, None),
        (READ, "chain", "", None, None),
        (READ, "json_each", "value", "main", None),
        (READ, "json_tree", "", None, None),
        (sqlite3.SQLITE_FUNCTION, None, "count", None, None),
        (sqlite3.SQLITE_FUNCTION, None, "JSON_Extract", None, "waits"),
        (sqlite3.SQLITE_FUNCTION, None, "->>", None, None),
    ],
)
def test_allowed(question: Any) -> None:
    asked = authorizer()
    assert asked(*question) == sqlite3.SQLITE_OK
    assert asked.refusal is None


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ((READ, "nodes", "id", SECRET, None), "plain name"),
        ((READ, "nodes", "id", SECRET, "nodes"), "plain name"),  # a CTE called nodes
        ((READ, "nodes", "id", SECRET, "s0_nodes"), "plain name"),
        ((READ, "nodes", "id", SECRET, f"{SECRET}_edges"), "plain name"),  # not its table
        ((READ, "nodes", "id", SECRET, f"{SECRET}_nodes".upper()), "plain name"),
        ((READ, "nodes", "", SECRET, None), "plain name"),
        ((READ, "snapshots", "", SECRET, None), "no such table: snapshots"),
        ((READ, "one", "x", SECRET, None), "no such table: one"),
        ((READ, "one", "", None, None), "no such table: one"),
        ((READ, "ONE", "", None, None), "no such table: ONE"),
        ((READ, "chain", "", "main", None), "no such table"),
        ((READ, "nodes", "id", "main", f"{SECRET}_nodes"), "plain name"),
        ((READ, "leaky", "id", SECRET, None), "no such table"),
        ((READ, "nodes", "", None, "leaky"), "no such table: leaky"),
        ((SELECT, None, None, None, "leaky"), "no such table: leaky"),
        ((SELECT, None, None, None, "LEAKY"), "no such table: LEAKY"),
        ((READ, "pragma_table_list", "", None, None), "no such table"),
        ((READ, "pragma_table_list", "name", "main", None), "no such table"),
        ((READ, "sqlite_schema", "", None, None), "no such table"),
        ((READ, "SQLITE_TEMP_MASTER", "sql", "temp", None), "no such table"),
        ((READ, "dbstat", "", None, None), "no such table"),
        ((READ, "unknown", "x", "temp", None), "no such table"),
        ((sqlite3.SQLITE_FUNCTION, None, "load_extension", None, None), "load_extension()"),
        ((sqlite3.SQLITE_FUNCTION, None, "fts3_tokenizer", None, None), "fts3_tokenizer()"),
        ((sqlite3.SQLITE_FUNCTION, None, None, None, None), "function"),
        ((sqlite3.SQLITE_PRAGMA, "table_info", "nodes", None, None), "PRAGMA"),
        ((sqlite3.SQLITE_ATTACH, "x", None, None, None), "read-only"),
        ((sqlite3.SQLITE_INSERT, "nodes", None, "main", f"{SECRET}_nodes"), "read-only"),
        ((sqlite3.SQLITE_TRANSACTION, "BEGIN", None, None, None), "read-only"),
        ((sqlite3.SQLITE_CREATE_TEMP_VIEW, "v", None, "temp", None), "read-only"),
        ((9999, None, None, None, None), "read-only"),  # an action nobody has heard of yet
    ],
)
def test_refused(question: Any, reason: str) -> None:
    asked = authorizer()
    assert asked(*question) == sqlite3.SQLITE_DENY
    assert asked.refusal is not None
    assert reason in asked.refusal
    assert SECRET not in asked.refusal


def test_every_action_that_sqlite_knows_is_refused_but_the_four() -> None:
    actions = {
        value
        for name, value in vars(sqlite3).items()
        if name.startswith(("SQLITE_CREATE_", "SQLITE_DROP_", "SQLITE_ALTER_"))
    }
    actions |= {sqlite3.SQLITE_DELETE, sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE}
    actions |= {sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH, sqlite3.SQLITE_SAVEPOINT}
    actions |= {sqlite3.SQLITE_ANALYZE, sqlite3.SQLITE_REINDEX, sqlite3.SQLITE_PRAGMA}
    assert len(actions) > 20
    for action in actions:
        assert authorizer()(action, "nodes", "id", "temp", f"{SECRET}_nodes") == sqlite3.SQLITE_DENY


def test_a_table_of_a_stranger_called_json_each_is_not_the_function() -> None:
    asked = authorizer((*HIDDEN, "json_each"))
    assert asked(READ, "json_each", "x", "main", None) == sqlite3.SQLITE_DENY


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("no such table: main.nodes", "nodes is read by its plain name"),
        ("no such table: nowhere", "no such table: nowhere; there are edges, nodes, waits"),
        ("no such table: main.one", "no such table: main.one; there are edges, nodes, waits"),
        ("no such column: x", "no such column: x"),
    ],
)
def test_errors_of_sqlite_are_put_in_terms_of_what_there_is(error: str, words: str) -> None:
    assert authorizer().in_our_words(error).startswith(words)


def test_the_first_reason_is_kept() -> None:
    asked = authorizer()
    asked(READ, "one", "x", SECRET, None)
    asked(sqlite3.SQLITE_PRAGMA, "x", None, None, None)
    assert asked.refusal is not None
    assert asked.refusal.startswith("no such table: one")


@pytest.mark.parametrize(
    "name",
    ["load_extension", "fts3_tokenizer", "randomblob", "sqlite_offset", "readfile", "writefile",
     "edit", "rtreecheck", "sqlite_log", "last_insert_rowid", "changes", "fts5", "optimize"],
)  # fmt: skip
def test_no_function_with_an_effect_or_a_pointer_is_allowed(name: str) -> None:
    assert name not in FUNCTIONS


@pytest.mark.parametrize("params", [[], (), [None, True, 1, -(1 << 63), 1.5, "x"], [1] * 100])
def test_params_that_can_be_bound(params: object) -> None:
    assert refuse_params(params) is None


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        (None, "must be a list"),
        ({"a": 1}, "must be a list"),
        ("ab", "must be a list"),
        ([1] * 101, "at most 100"),
        ([1 << 63], "64 bits"),
        ([0, -(1 << 63) - 1], "value 2"),
        ([float("nan")], "finite"),
        ([float("inf")], "finite"),
        ([[]], "null, a boolean"),
        ([{}], "null, a boolean"),
        ([b"x"], "null, a boolean"),
    ],
)
def test_params_that_cannot_be_bound(params: object, reason: str) -> None:
    refusal = refuse_params(params)
    assert refusal is not None
    assert reason in refusal


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        (None, "must be a string"),
        (b"select 1", "must be a string"),
        ("", "one SELECT"),
        (" \n", "one SELECT"),
        ("select '\0'", "NUL"),
        ("select '\ud800'", "surrogate"),
        ("x" * 65_537, "65537 bytes"),
        ("ü" * 32_769, "65538 bytes"),
    ],
)
def test_sql_that_is_not_even_tried(sql: object, reason: str) -> None:
    refusal = refuse_sql(sql)
    assert refusal is not None
    assert reason in refusal


def test_sql_that_is_tried() -> None:
    assert refuse_sql("select 1") is None
