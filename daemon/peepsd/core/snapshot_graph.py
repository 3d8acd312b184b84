"""One snapshot as the analysis sees it: its wait graph, who answered, and a way to look up nodes.

Decides which attributes mark OR waits, time limits and blocked loops. Refuses to know where rows
come from: `lookup` is handed in, so that a graph of a million nodes need not be read whole.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import waits, wires
from .chains import Chains
from .nodes import Node, missing_node
from .roots import Missing

Lookup = Callable[[Collection[str]], Mapping[str, Node]]
"""The nodes of these ids, as far as the snapshot has them."""


@dataclass(frozen=True, slots=True)
class Process:
    """How one process took part in a snapshot."""

    proc_key: str
    process: str
    pid: int | None
    status: str
    error_text: str | None = None

    @property
    def answered(self) -> bool:
        """Whether its graph is in the snapshot."""
        return self.status == "responded" and self.error_text is None


@dataclass(frozen=True, slots=True)
class Marks:
    """Nodes whose attributes change what their waits mean, by id."""

    any_of: frozenset[str] = frozenset()
    limited: frozenset[str] = frozenset()
    blocked: frozenset[str] = frozenset()


def marks_of(attributes: Iterable[tuple[str, Mapping[str, Any]]]) -> Marks:
    """Read the marks from (id, attrs) of the nodes that could carry one: their MARKING suffices."""
    found: dict[str, set[str]] = {name: set() for name in ("any_of", "limited", "blocked")}
    for node_id, attrs in attributes:
        if attrs.get("wait") == "any":
            found["any_of"].add(node_id)
        limit = attrs.get("timeout_s")
        if isinstance(limit, (int, float)) and limit <= SOON_S:
            found["limited"].add(node_id)
        if attrs.get("state") == "blocked" or _is_blocked_loop(node_id, attrs):
            found["blocked"].add(node_id)
    return Marks(**{name: frozenset(ids) for name, ids in found.items()})


def _is_blocked_loop(node_id: str, attrs: Mapping[str, Any]) -> bool:
    return node_id.startswith("event_loop:") and attrs.get("cut") == "blocked"


SOON_S = 60.0
"""A time limit further away does not count: whoever looks now will not see it end the wait."""

MARKERS = ('any"', 'timeout_s"', 'blocked"')
"""Text that the attributes of a marked node contain: to find candidates without decoding. To
begin with a quotation mark, of which there are many, would take twice as long."""

MARKING = ("wait", "timeout_s", "state", "cut")
"""The attributes that marks are read from."""


@dataclass(slots=True)
class SnapshotGraph:
    """Everything known of one snapshot, analysed as far as anybody has asked."""

    snapshot_id: int
    taken_at_ns: int
    processes: Sequence[Process]
    wires: wires.Wires
    lookup: Lookup
    missing: Mapping[str, Missing] = field(default_factory=dict)
    marks: Marks = field(default_factory=Marks)
    skew_ms: float | None = None
    _stuck: set[int] | None = None
    _deadlocks: list[waits.Deadlock] | None = None
    _chains: Chains | None = None
    _known: dict[str, Node] = field(default_factory=dict)

    @property
    def graph(self) -> waits.WaitGraph:
        """Its wait graph."""
        return self.wires.graph

    @property
    def stuck(self) -> set[int]:
        """The nodes that can never go on."""
        if self._stuck is None:
            self._stuck = waits.stuck(self.graph)
        return self._stuck

    @property
    def deadlocks(self) -> list[waits.Deadlock]:
        """Its deadlocks, told apart."""
        if self._deadlocks is None:
            self._deadlocks = waits.deadlocks(self.graph, self.stuck)
        return self._deadlocks

    def numbers(self, node_id: str) -> list[int]:
        """The numbers of that id in the wait graph: none, one, or two for a socket."""
        found = (self.graph.index.get(node_id), self.wires.outlets.get(node_id))
        return [n for n in found if n is not None]

    def chains(self) -> Chains:
        """Ways from nodes to roots."""
        if self._chains is None:
            ends = self.blocking() - self.stuck
            self._chains = Chains(self.graph, self.stuck, self.deadlocks, ends)
        return self._chains

    def blocking(self) -> set[int]:
        """What keeps an event loop from turning: the task that occupies it, or the loop itself
        if no task does. Whatever that waits for in turn, here is where it went wrong."""
        found: set[int] = set()
        for node_id in self.marks.blocked:
            n = self.graph.index.get(node_id)
            if n is not None:
                is_loop = node_id.startswith("event_loop:")
                found.update(self.graph.needs[n] if is_loop and self.graph.needs[n] else [n])
        return found

    def nodes(self, ids: Collection[str]) -> dict[str, Node]:
        """The nodes of these ids; one that no reply contained is made of its id."""
        unknown = [i for i in dict.fromkeys(ids) if i not in self._known]
        if unknown:
            found = self.lookup(unknown)
            for node_id in unknown:
                gap = self.missing.get(node_id)
                self._known[node_id] = found.get(node_id) or missing_node(
                    node_id, gap.proc_key if gap else None
                )
        return {i: self._known[i] for i in ids}

    def node(self, node_id: str) -> Node:
        """The node of that id."""
        return self.nodes([node_id])[node_id]

    def path(self, numbers: Iterable[int]) -> list[Node]:
        """The nodes behind numbers of the wait graph, in order."""
        ids = [self.graph.ids[n] for n in numbers]
        known = self.nodes(ids)
        return [known[i] for i in ids]

    def process_with(self, pid: int | None) -> str | None:
        """The proc_key of the one process that has this pid; None: there is none, or several."""
        found = [p.proc_key for p in self.processes if pid is not None and p.pid == pid]
        return found[0] if len(found) == 1 else None

    def unanswered(self) -> list[Process]:
        """Those whose part of the graph is missing."""
        return [p for p in self.processes if not p.answered]
