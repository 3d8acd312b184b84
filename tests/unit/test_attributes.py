"""Attributes: what nobody could read later is found out before it is stored."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from peepsd.core.attributes import MAX_DEPTH, UNREADABLE, all_readable, attributes_of, unreadable


@pytest.mark.parametrize(
    "number",
    [
        "1e999",
        "-1E+309",
        "1e0309",
        "1.5e400",
        "1.7976931348623159e308",
        "9" * 5000,
        "1" + "0" * 309,
        "1" * 250 + "e99",
        "1" * 310 + ".5",
    ],
)
def test_numbers_that_nobody_can_read(number: str) -> None:
    for text in (
        f'{{"n":{number}}}',
        f'{{"a":{{"b":[1,{number}]}}}}',
        f'{{"a":"\\"","n":{number}}}',
    ):
        with pytest.raises(orjson.JSONDecodeError):
            orjson.loads(text)
        assert unreadable(text) == "a number is beyond the range of a double"
        assert not all_readable(["{}"] * 1500 + [text])


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"n":1e308,"m":-1.7976931348623157e308,"z":0e999}',
        '{"n":1e-999}',
        f'{{"n":{"1" * 308}}}',
        f'{{"n":{"9" * 250}e-20}}',
        f'{{"n":0.{"1" * 5000}}}',
        '{"sha":"7e999","1e999":"a\\"1e999"}',
        f'{{"text":"{"9" * 5000}"}}',
        f'{{"text":"{"[" * 5000}","list":[{"[],{}," * 2000}0]}}',
        f'{{"a":{"[" * (MAX_DEPTH - 1)}{"]" * (MAX_DEPTH - 1)}}}',
    ],
)
def test_what_everybody_can_read(text: str) -> None:
    orjson.loads(text)
    assert unreadable(text) is None
    assert all_readable([text])


@pytest.mark.parametrize("levels", [MAX_DEPTH, 5 * MAX_DEPTH])
def test_deep_nesting(levels: int) -> None:
    text = f'{{"a":{"[" * levels}{"]" * levels}}}'
    assert unreadable(text) == f"nested more than {MAX_DEPTH} levels deep"
    assert unreadable('{"a":' * levels + "{}" + "}" * levels) is not None
    assert not all_readable(["{}", text])


_numbers = st.from_regex(r"\A-?(0|[1-9][0-9]{0,8})(\.[0-9]{1,4})?([eE][+-]?[0-9]{1,4})?\Z")
_values: st.SearchStrategy[str] = st.recursive(
    _numbers | st.text().map(json.dumps),
    lambda inner: st.lists(inner).map(lambda parts: f"[{','.join(parts)}]"),
)


@given(_values)
def test_it_agrees_with_the_reader(value: str) -> None:
    text = f'{{"a":{value}}}'
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        assert unreadable(text) is not None
    else:
        assert unreadable(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 1}', {"a": 1}),
        ('{"a": 1, "n": 1e999}', {"a": 1, "n": "1e999"}),
        (f'{{"a": [1.5, -{"9" * 5000}]}}', {"a": [1.5, "-" + "9" * 5000]}),
    ],
)
def test_old_rows_are_read_as_far_as_they_can_be(text: str, expected: dict[str, Any]) -> None:
    found = attributes_of(text)
    assert {name: value for name, value in found.items() if name != UNREADABLE} == expected
    assert (UNREADABLE in found) == ("9" in text)
    orjson.dumps(found)


@pytest.mark.parametrize(
    "text", ["", "[]", "7", "{", '{"a":' + "[" * 100_000 + "]" * 100_000 + "}"]
)
def test_what_is_no_object_costs_only_the_attributes(text: str) -> None:
    assert attributes_of(text) == {UNREADABLE: "not a JSON object"}
