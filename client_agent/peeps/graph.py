"""The graph under construction: ids, attributes of source locations, caps, deduplication.

Decides how a node is named, what a stack looks like on the wire, and what is left out when a
process is too large to be told in full: every cap that was hit is counted in `truncated`.
Refuses to know the libraries whose objects become nodes, and any object of the host: it is
given integers and strings only. Vocabulary and shapes: docs/data-model.md.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from . import unpatched

TaskKey = tuple[int, str, int]
"""A task before its id is written out: id(task), its name, id(coroutine)."""

Key = int | str | TaskKey

Ref = tuple[str, Key]
"""What a node is before it has an id: its kind and what is unique within kind and process.
Objects are told by `id(obj)`; two collectors that meet the same object make the same Ref."""

Place = tuple[str, int, str, str]
"""A place in source code: file, line, qualified function name, module's dotted path."""

_CONTAINERS = frozenset((list, dict, tuple))

ANY = "any"
"""The value of the attribute `wait` on a node whose `needs` edges are alternatives."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a process is told at most."""

    nodes: int = 400_000
    edges: int = 800_000
    stack_depth: int = 64
    label_chars: int = 200
    text_chars: int = 500


class Graph:
    """Nodes and edges of one process. Adding the same node or edge again completes it."""

    def __init__(self, origin: str, limits: Limits | None = None) -> None:
        self.origin = origin
        self.limits = limits or Limits()
        self.truncated: dict[str, int] = {}
        """What was left out, and how much of it: {"nodes": 12, "stack_frames": 40}."""
        # Few containers that hold others: the many of a large graph would make Python collect
        # garbage in the whole process, for as long as it takes.
        self._kinds: dict[str, str] = {}
        self._labels: dict[str, str] = {}
        self._attrs: dict[str, dict[str, Any]] = {}
        """Attributes that are numbers or texts, by node."""
        self._nested: dict[str, dict[str, Any]] = {}
        """Attributes that are lists or dictionaries: name -> node -> value."""
        self._edges: dict[tuple[str, str, str], dict[str, Any]] = {}
        self._needed: set[str] = set()
        self._breath = Breath()
        self._is_late: Callable[[], bool] = _never
        self._over = False

    def late_when(self, is_late: Callable[[], bool]) -> None:
        """From when this returns true on, what is new is counted instead of added."""
        self._is_late = is_late

    def __len__(self) -> int:
        return len(self._kinds)

    def id(self, kind: str, key: Key) -> str:
        """The id of the node `(kind, key)`, whether it is in the graph yet or not."""
        if isinstance(key, int):
            unique = f"{key:x}"
        else:
            unique = key if isinstance(key, str) else task_key(key)
        return f"{kind}:{self.origin}/{unique}"

    def node(self, kind: str, key: Key, /, label: str | None = None, **attrs: Any) -> str:
        """Add a node, or complete it: a value that is None is left out and never overwrites.

        Returns its id. Over the cap the node is counted instead of added.
        """
        return self.node_by_id(self.id(kind, key), kind, label, attrs)

    def node_by_id(self, node_id: str, kind: str, label: str | None, attrs: dict[str, Any]) -> str:
        """As `node`, for ids that are not made of this process's origin (sockets, custom)."""
        self._take_breath()
        kept = self._attrs.get(node_id)
        if kept is None:
            if len(self._kinds) >= self.limits.nodes or self._over:
                self.leave_out("nodes")
                return node_id
            self._kinds[node_id] = kind
            kept = self._attrs[node_id] = {}
        if label is not None:
            self._labels[node_id] = self._cut_text(label, self.limits.label_chars, "labels")
        for name, value in attrs.items():
            if value is None:
                continue
            if type(value) in _CONTAINERS:
                self._nested.setdefault(name, {})[node_id] = value
                continue
            if type(value) is str and len(value) > self.limits.text_chars:
                value = self._cut_text(value, self.limits.text_chars, "texts")
            kept[name] = value
        return node_id

    def ref(self, ref: Ref) -> str:
        """The id of the node that a Ref stands for."""
        return self.id(*ref)

    def edge(self, src: str, dst: str, kind: str, **attrs: Any) -> None:
        """Add an edge between two ids. Of two alike the first one's attributes stay."""
        self._take_breath()
        key = (src, dst, kind)
        if key in self._edges:
            return
        if len(self._edges) >= self.limits.edges or self._over:
            self.leave_out("edges")
            return
        self._edges[key] = {name: value for name, value in attrs.items() if value is not None}
        if kind == "needs":
            self._needed.add(dst)

    def _take_breath(self) -> None:
        if self._breath.take() and not self._over and self._is_late():
            self._over = True

    def is_needed(self, node_id: str) -> bool:
        """Whether anything waits for this node."""
        return node_id in self._needed

    def has(self, node_id: str) -> bool:
        """Whether the node was added."""
        return node_id in self._kinds

    def leave_out(self, what: str, count: int = 1) -> None:
        """Put on record that something is not in the graph because it was too much."""
        self.truncated[what] = self.truncated.get(what, 0) + count

    def stack(self, places: list[Place]) -> list[str]:
        """A stack for the attribute `stack`, outermost first: "function (file:line)".

        Too deep a one keeps both ends, the inner one longer: that is where it waits.
        """
        limit = self.limits.stack_depth
        lines = [f"{function} ({file}:{line})" for file, line, function, _ in places]
        if len(lines) <= limit:
            return lines
        outer = limit // 4
        gap = len(lines) - limit
        self.leave_out("stack_frames", gap)
        return [*lines[:outer], f"... {gap} frames left out ...", *lines[outer + gap :]]

    def drop_loose_ends(self) -> int:
        """Drop edges to tasks and threads of this process that are not in the graph: the two
        ends were seen at two instants, and one had gone. Other ends get a bare node. Returns
        how many were dropped."""
        if self.truncated.get("nodes"):
            return 0
        loose = [
            (edge, end)
            for edge in self._edges
            for end in edge[:2]
            if end not in self._kinds and end.partition(":")[2].startswith(f"{self.origin}/")
        ]
        dropped = 0
        for edge, end in loose:
            kind = end.partition(":")[0]
            if kind in ("task", "thread"):
                dropped += self._edges.pop(edge, None) is not None
            else:
                self.node_by_id(end, kind, kind, {})
        return dropped

    def rows(self) -> Iterator[dict[str, Any]]:
        """Nodes as the protocol has them: {"id", "kind", "label", "attrs"}."""
        for node_id, kind in self._kinds.items():
            attrs = dict(self._attrs[node_id])
            for name, values in self._nested.items():
                if node_id in values:
                    attrs[name] = values[node_id]
            yield {
                "id": node_id,
                "kind": kind,
                "label": self._labels.get(node_id),
                "attrs": attrs,
            }

    def edge_rows(self) -> Iterable[dict[str, Any]]:
        """Edges as the protocol has them: {"src", "dst", "kind", "attrs"}."""
        for (src, dst, kind), attrs in self._edges.items():
            yield {"src": src, "dst": dst, "kind": kind, "attrs": attrs}

    @property
    def edge_count(self) -> int:
        return len(self._edges)

    def to_dict(self) -> dict[str, Any]:
        """The whole graph as one value: for tests and small processes."""
        return {"nodes": list(self.rows()), "edges": list(self.edge_rows())}

    def _cut_text(self, text: str, limit: int, what: str) -> str:
        if len(text) <= limit:
            return text
        self.leave_out(what)
        return text[: limit - 1] + "…"


def task_key(key: TaskKey) -> str:
    """What is unique about a task. asyncio's default names carry a number that is never used
    twice; it tells apart two tasks that had the same address one after the other."""
    address, name, coroutine = key
    number = name[5:] if name.startswith("Task-") else f"c{coroutine >> 4:x}"
    return f"{address:x}.{number}"


def told_apart(type_name: str, node_id: str) -> str:
    """What a thing without a name is called among its like: "Lock@a7d0"."""
    return f"{type_name.rpartition('.')[2]}@{node_id.rpartition('/')[2][-4:]}"


def location(place: Place | None) -> dict[str, Any]:
    """The attributes of a source location; none if there is no place."""
    if place is None:
        return {}
    file, line, function, module = place
    return {
        "ctx.location": f"{file}:{line}",
        "ctx.file": file,
        "ctx.line": line,
        "ctx.function": function,
        "ctx.module_path": module or None,
    }


_LIBRARY_MARKS = ("/site-packages/", "/dist-packages/", os.__file__.rpartition("/")[0] + "/")


def is_library(file: str) -> bool:
    """Whether a file belongs to an installed library or to Python rather than to the program."""
    return file.startswith("<frozen") or any(mark in file for mark in _LIBRARY_MARKS)


def own_place(places: list[Place]) -> Place | None:
    """The innermost place in the program's own code; the innermost of all if there is none."""
    for place in reversed(places):
        if not is_library(place[0]):
            return place
    return places[-1] if places else None


class Breath:
    """Lets other threads run every millisecond of our work: the host must not wait for us.

    A thread that computes keeps the interpreter lock for five milliseconds at a time;
    sleeping for no time at all hands it over sooner.
    """

    def __init__(self, every_s: float = 0.001) -> None:
        self._every = every_s
        self._count = 0
        self._next = 0.0

    def take(self) -> bool:
        """Call often; costs next to nothing when it is not time yet. Whether it was."""
        self._count += 1
        if self._count & 15:
            return False
        now = unpatched.perf_counter()
        if now < self._next:
            return False
        if self._next:
            unpatched.sleep(0)
        self._next = unpatched.perf_counter() + self._every
        return True


def _never() -> bool:
    return False
