"""Attributes: a JSON object in a text, that whoever asks later must be able to read.

Decides which texts that are JSON cannot be: a number beyond the range of a double, or nesting
that readers do not follow; and what is still told of those that were stored all the same.
Refuses to know whose attributes they are. Nothing is built of what is looked at here, and a text
without exponents, long numbers and many brackets is hardly looked at.
"""

import json
import re
from collections.abc import Sequence
from math import isfinite
from typing import Any, Final

import orjson

MAX_DEPTH: Final = 900
"""SQLite follows 1000 levels, orjson 1024, Python's json about as many."""
UNREADABLE: Final = "attrs_unreadable"
"""The attribute that tells what of the others could not be read."""

_AT_ONCE = 1024
_LONG_NUMBER = b"0" * 200

_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_NUMBER = re.compile(r"[0-9][0-9.]*+(?:[eE][+-]?[0-9]++)?")


def _shapes() -> bytes:
    """Each digit to 0, each sign of an exponent to e; everything else that matters not to a
    blank."""
    table = bytearray(b" " * 256)
    for byte in b"0123456789":
        table[byte] = ord("0")
    table[ord("e")] = table[ord("E")] = ord("e")
    table[ord("+")] = ord("+")
    return bytes(table)


_SHAPES = _shapes()


def all_readable(texts: Sequence[str]) -> bool:
    """Whether none of these JSON objects is `unreadable`."""
    for start in range(0, len(texts), _AT_ONCE):
        part = texts[start : start + _AT_ONCE]
        if (_may_be_huge("".join(part)) or any(map(_may_be_deep, part))) and any(
            map(unreadable, part)
        ):
            return False
    return True


def unreadable(text: str) -> str | None:
    """Why nobody could read this JSON object; None: everybody can."""
    if not _may_be_huge(text) and not _may_be_deep(text):
        return None
    bare = _STRING.sub("", text)
    if any(not isfinite(float(number[0])) for number in _NUMBER.finditer(bare)):
        return "a number is beyond the range of a double"
    if _is_deep(bare):
        return f"nested more than {MAX_DEPTH} levels deep"
    return None


def _may_be_huge(text: str) -> bool:
    """Whether a number might have more than 200 digits, or three in its exponent."""
    shape = text.encode().translate(_SHAPES)
    return b"0e000" in shape or b"0e+000" in shape or _LONG_NUMBER in shape


def _may_be_deep(text: str) -> bool:
    return len(text) > 2 * MAX_DEPTH and text.count("[") + text.count("{") > MAX_DEPTH


def _is_deep(bare: str) -> bool:
    """Whether well-formed JSON, its strings taken out, has too many levels. Each turn takes out
    at least the innermost."""
    brackets = re.sub(r"[^\[\]{}]++", "", bare).replace("{", "[").replace("}", "]")
    for _ in range(MAX_DEPTH):
        if not brackets:
            return False
        brackets = brackets.replace("[]", "")
    return bool(brackets)


def attributes_of(text: str) -> dict[str, Any]:
    """Stored attributes, as far as they can be read: numbers beyond the range of a double stay
    texts, and if it is no JSON object at all there is only the attribute that says so."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return _attributes_in_part(text)
    return found if isinstance(found, dict) else {UNREADABLE: "not a JSON object"}


def _attributes_in_part(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text, parse_float=_number, parse_int=_number, parse_constant=str)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        return {UNREADABLE: "not a JSON object"}
    return found | {UNREADABLE: "numbers beyond the range of a double are shown as texts"}


def _number(text: str) -> int | float | str:
    if len(text) < 19 and text.lstrip("-").isdigit():
        return int(text)
    value = float(text)
    return value if isfinite(value) else text
