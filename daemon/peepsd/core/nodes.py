"""One node of a stored graph, and the few attributes that answers are built from.

Decides which attribute names mean what (docs/data-model.md), tolerantly: foreign clients nest
`ctx`, spell capacity differently or say nothing at all. Refuses to know edges and SQL.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .cut import cut

ACTORS = frozenset({"task", "thread", "future", "request", "command"})
"""Kinds that do something, and so can wait. Everything else is a resource waited for."""

PEOPLE = frozenset({"task", "thread", "command"})
"""Kinds that count as one waiter each; a future is counted with the task that awaits it."""

TIMERS = frozenset({"sleep", "interval", "timeout"})
CHANNELS = frozenset({"queue", "tx", "rx", "remote_tx", "remote_rx"})
POOLS = frozenset({"semaphore", "executor", "pool"})
SOCKETS = frozenset({"socket", "net_connect", "net_accept", "net_readable", "net_writable"})


def kind_of(node_id: str) -> str:
    """The kind that an id tells by itself (`{kind}:{unique}`); "" if it tells none."""
    kind, colon, _ = node_id.partition(":")
    return kind if colon else ""


def proc_key_of(node_id: str) -> str | None:
    """The origin an id tells (`{kind}:{origin}/{unique}`), if any. Not always a proc_key."""
    _, _, rest = node_id.partition(":")
    origin, slash, _ = rest.partition("/")
    return origin if slash else None


def child_pid(node_id: str, told: object) -> int | None:
    """The pid of a child process: as its node tells it (`child_pid`), else from `.../pid-N`."""
    if isinstance(told, int) and not isinstance(told, bool):
        return told
    tail = node_id.rpartition("/pid-")[2]
    return int(tail) if tail.isascii() and tail.isdigit() else None


_LIBRARIES = re.compile(r"/(?:site-packages|dist-packages|lib/python3\.\d+)/|<frozen ")


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the source something is. `line` counts from 1."""

    file: str | None = None
    line: int | None = None
    function: str | None = None

    def __str__(self) -> str:
        if self.file is None:
            return ""
        return self.file if self.line is None else f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Node:
    """A row of `nodes`, its attributes decoded."""

    id: str
    kind: str
    process: str
    proc_key: str
    label: str | None = None
    attrs: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def name(self) -> str:
        """What people call it: its name, its label, or the tail of its id."""
        unique = self.id.rpartition("/")[2].removeprefix(f"{self.kind}:")
        for value in (self.attrs.get("name"), self.label):
            if isinstance(value, str) and value:
                if value != self.attrs.get("type"):
                    return cut(value)
                return f"{cut(value.rpartition('.')[2])}@{unique[-4:]}"  # told apart from its like
        return unique

    @property
    def state(self) -> str | None:
        """running, waiting, sleeping, blocked, ...; None: it did not say."""
        value = self.attrs.get("state")
        return cut(value) if isinstance(value, str) else None

    @property
    def place(self) -> Place:
        """Where it is now, as recorded under ctx.*."""
        location = self._ctx("location")
        file, line = self._ctx("file"), self._ctx("line")
        if not isinstance(file, str) and isinstance(location, str):
            head, _, tail = location.rpartition(":")
            file, line = (head, int(tail)) if tail.isdigit() and head else (location, None)
        function = self._ctx("function")
        return _place(file, line, function)

    @property
    def stack(self) -> list[str]:
        """Its frames as text, outermost first."""
        frames = self.attrs.get("stack")
        return [_frame_text(frame) for frame in frames] if isinstance(frames, list) else []

    @property
    def is_of_library(self) -> bool:
        """Whether nothing on its stack is the program's own: a library's, or Python's."""
        frames = self.stack or [str(self.place)]
        return bool(frames[0]) and all(_LIBRARIES.search(frame) for frame in frames)

    @property
    def is_torn(self) -> bool:
        """Whether it was looked at while its event loop was running."""
        return self.attrs.get("cut") == "sampled"

    @property
    def inferred(self) -> str | None:
        """How it was inferred; None: it was recorded."""
        value = self.attrs.get("inferred")
        return cut(str(value)) if value else None

    def number(self, *names: str) -> float | None:
        """The first of these attributes that is a number."""
        for name in names:
            value = self.attrs.get(name)
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                return value
        return None

    def _ctx(self, name: str) -> Any:
        if (flat := self.attrs.get(f"ctx.{name}")) is not None:
            return flat
        nested = self.attrs.get("ctx")
        return nested.get(name) if isinstance(nested, dict) else None


def _place(file: Any, line: Any, function: Any) -> Place:
    return Place(
        cut(file) if isinstance(file, str) else None,
        line if isinstance(line, int) else None,
        cut(function) if isinstance(function, str) else None,
    )


def _frame_text(frame: Any) -> str:
    if not isinstance(frame, dict):
        return cut(str(frame))
    place = _place(frame.get("file"), frame.get("line"), frame.get("function"))
    return f"{place} in {place.function}" if place.function else str(place)


def missing_node(node_id: str, proc_key: str | None = None) -> Node:
    """A node that an edge names and no reply contained, as far as its id tells."""
    owner = proc_key or ""
    return Node(node_id, kind_of(node_id) or "node", owner, owner)
