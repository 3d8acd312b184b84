"""The programs under examples/, and what is expected to be said about each.

An expectation is data in the program itself: the table [tool.peeps] of its inline metadata
(PEP 723), which also names the libraries that it needs.
"""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .guests import REPO

EXAMPLES = REPO / "examples"
_BLOCK = re.compile(r"(?m)^# /// script$\s(?P<content>(^#(| .*)$\s)+)^# ///$")


@dataclass(frozen=True)
class Example:
    """A program and its expectation."""

    path: Path
    dependencies: tuple[str, ...]
    root: str
    """Kind of what the chains end at, as in `peeps why`. Those of cycle and timeout are closed."""
    deadlock: bool
    chains: tuple[Any, ...]
    """What must be found, each ending at the root: lists of steps (see pictures.py)."""
    also: tuple[Any, ...]
    """Chains beside them, whatever they end at."""
    forbidden: tuple[Any, ...]
    """Pairs of steps between which there must be no `needs` edge."""

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def is_of_many(self) -> bool:
        """Whether it consists of several processes."""
        return self.name.startswith("processes_")


def read_example(path: Path) -> Example:
    """The program in that file."""
    match = _BLOCK.search(path.read_text())
    assert match, f"{path} has no metadata"
    lines = match["content"].splitlines()
    data = tomllib.loads("\n".join(line[2:] if line[1:2] == " " else line[1:] for line in lines))
    expected = data["tool"]["peeps"]
    return Example(
        path,
        tuple(data.get("dependencies", ())),
        expected.get("root", "none"),
        expected.get("deadlock", False),
        tuple(expected.get("chains", ())),
        tuple(expected.get("also", ())),
        tuple(expected.get("forbidden", ())),
    )


def stuck() -> list[Example]:
    """Programs that hang."""
    return [read_example(path) for path in sorted((EXAMPLES / "stuck").glob("*.py"))]


def healthy() -> list[Example]:
    """Programs that look similar and are well."""
    return [read_example(path) for path in sorted((EXAMPLES / "healthy").glob("*.py"))]
