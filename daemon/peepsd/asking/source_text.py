"""Lines of source around a place that a process named.

Decides what may be read at all: a process says where it is, and must not be able to have any
other file shown. So: files of source only, by their suffix, and a few lines of them.
"""

import linecache
import re
from pathlib import Path

SUFFIXES = frozenset(
    {".py", ".pyi", ".pyx", ".rs", ".go", ".c", ".h", ".cc", ".cpp", ".swift", ".js", ".ts"}
)


def split(location: str | None) -> tuple[str, int] | None:
    """File and line of "file:line"; None if it is no such thing."""
    file, _, line = (location or "").rpartition(":")
    return (file, int(line)) if file and line.isascii() and line.isdigit() else None


_LIBRARIES = re.compile(r".*/(?:site-packages|dist-packages|lib/python3\.\d+)/")


def is_library(location: str | None) -> bool:
    """Whether that place is in an installed library, or in Python's own."""
    return _LIBRARIES.match(location or "") is not None


def short(location: str | None) -> str:
    """ "file:line" as people find it: from here, or from where libraries are."""
    text = _LIBRARIES.sub("", location or "")
    return text.removeprefix(f"{Path.cwd()}/")


def source_line(location: str | None) -> str | None:
    """The line at "file:line", if it can be read here."""
    around = source_around(location, 0)
    return around[0][1].strip() or None if around else None


def source_around(location: str | None, lines: int) -> list[tuple[int, str]]:
    """(number, text) of the line at "file:line" and of `lines` on both sides, if readable."""
    place = split(location)
    if place is None or Path(place[0]).suffix not in SUFFIXES:
        return []
    file, at = place
    numbers = range(max(1, at - lines), at + lines + 1)
    found = [(number, linecache.getline(file, number).rstrip("\n")) for number in numbers]
    return (
        [(number, text) for number, text in found if text or number == at]
        if any(number == at and text for number, text in found)
        else []
    )
