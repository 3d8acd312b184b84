"""Numbers as they come in a path or a query string.

Decides what is a number at all. Refuses to know what it is for.
"""

from typing import Final

from ..errors import NotFound

MAX_ID: Final = 2**63 - 1

_MAX_DIGITS: Final = 20
"""More than any number here has. Looked at first: the whole text is what is used later, and
Python itself refuses thousands of digits."""


def digits(text: str) -> int | None:
    """The whole number that `text` is, or None: it is none, or far too long."""
    if len(text) > _MAX_DIGITS or not text.isascii() or not text.isdigit():
        return None
    return int(text)


def snapshot_number(text: str) -> int:
    """The snapshot that a path names. Raises NotFound: there can be none of that name."""
    value = digits(text)
    if value is None or not 0 < value <= MAX_ID:
        raise NotFound(f"there is no snapshot {text[:_MAX_DIGITS]!r}", hint="GET /api/snapshots")
    return value
