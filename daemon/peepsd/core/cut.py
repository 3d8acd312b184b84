"""Texts of others, short enough to be shown many times over.

Decides how much of a name or a value an answer repeats, and how it says that it left something
out. Refuses to know what the text is.
"""

from typing import Final

MAX_CHARS: Final = 4096
"""A name is rarely longer than a line; a peer may send one of many megabytes, and each of its
waiters would repeat it."""


def cut(text: str) -> str:
    """The text, or its beginning and how long it is."""
    if len(text) <= MAX_CHARS:
        return text
    return f"{text[:MAX_CHARS]}… (cut; {len(text)} characters)"
