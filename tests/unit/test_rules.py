import asyncio
import asyncio.subprocess
import sys

import anyio._backends._asyncio
import anyio.streams.memory
import pytest
import trio

from peeps.rules import TABLES, Rule, Rulebook, find_code

LOADED = (asyncio.subprocess, anyio._backends._asyncio, anyio.streams.memory, trio)


def loaded_book():
    assert LOADED
    book = Rulebook()
    book.load()
    return book


def test_every_row_names_a_function_that_is_there():
    expected = {
        # the name it got in 3.14
        "asyncio.taskgroups.TaskGroup._aexit",
    }
    if sys.version_info >= (3, 12):
        expected.add("asyncio.tasks.wait_for")
    assert set(loaded_book().missing) <= expected


def test_loading_again_does_nothing_until_a_module_appears():
    book = Rulebook({"no_such_module": [("f", Rule("lock"))]})
    assert not book.load()
    assert not book.missing


@pytest.mark.parametrize(
    ("chain", "expected"),
    [
        ([asyncio.Lock.acquire], ("lock", 0)),
        ([None, asyncio.Lock.__aenter__, asyncio.Lock.acquire], ("lock", 2)),
        # a barrier waits by a condition: the outer frame says more
        (
            [asyncio.Barrier._wait, asyncio.Condition.wait_for, asyncio.Condition.wait],
            ("barrier", 0),
        ),
        ([None, asyncio.Condition.wait], ("condition", 1)),
        # a lock inside a wait: the innermost one counts
        ([asyncio.Event.wait, asyncio.Lock.acquire], ("lock", 1)),
        ([asyncio.sleep], ("sleep", 0)),
        ([None], None),
        ([asyncio.Lock.acquire, None], None),
        ([], None),
    ],
)
def test_the_innermost_rule_names_the_wait_unless_the_one_around_it_says_more(chain, expected):
    book = loaded_book()
    found = book.match([id(f.__code__) if f else 0 for f in chain])
    assert (found and (found[0].kind, found[1])) == expected


def test_code_is_found_through_decorators_and_classes():
    assert find_code(trio, "sleep_until") is trio.sleep_until.__code__
    assert find_code(asyncio.locks, "Lock.acquire") is asyncio.Lock.acquire.__code__
    assert find_code(asyncio, "no.such.thing") is None


def test_tables_are_keyed_by_module():
    assert all(name.split(".")[0] in {"asyncio", "trio", "anyio"} for name in TABLES)
