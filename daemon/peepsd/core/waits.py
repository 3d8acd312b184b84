"""The wait graph of one snapshot: who is stuck, and which deadlocks hold them.

Decides AND and OR waits. A node needs all that it waits for, unless it is marked `any`. The
stuck nodes are the greatest set in which an AND node has at least one stuck need and an OR node
has only stuck needs; a deadlock is a cycle of them. What waits with a time limit is never stuck.
Refuses to know attributes, SQL and words. Linear in edges.

Most of a graph is in no cycle and behind none. It is peeled off first, waiters before what they
need, in one pass over the edges; only what remains, the core, is searched for components.
"""

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import rustworkx as rx

Edge = tuple[str, str, str | None]
"""src, dst, and how the edge was inferred (None: it was recorded)."""


class WaitGraph:
    """`needs` edges between small integers. `ids[n]` is the node id of n.

    A socket may be two nodes with one id (see wires.py), so ids are not unique here: `index`
    holds the one that local waiters arrive at.
    """

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.index: dict[str, int] = {}
        self.needs: list[list[int]] = []
        self.inferred: dict[tuple[int, int], str] = {}
        self.any: set[int] = set()
        self.limited: set[int] = set()
        self._needed_by: list[list[int]] | None = None
        self._peeled: tuple[list[int], list[int]] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def node(self, node_id: str) -> int:
        """The number of that id, a new one if it is new."""
        n = self.index.get(node_id)
        if n is None:
            n = self.index[node_id] = self.extra(node_id)
        return n

    def extra(self, node_id: str) -> int:
        """One more node under an id that may be known already."""
        self.ids.append(node_id)
        self.needs.append([])
        return len(self.ids) - 1

    def connect(self, src: int, dst: int, inferred: str | None = None) -> None:
        """src needs dst."""
        self.needs[src].append(dst)
        if inferred is not None:
            self.inferred[src, dst] = inferred

    def extend(self, edges: Iterable[Edge]) -> None:
        """Connect many. Quickest where edges of one src come together."""
        index, ids, needs, inferred = self.index, self.ids, self.needs, self.inferred
        known = index.get
        last: str | None = None
        for src, dst, how in edges:
            if src != last:
                last, a = src, self.node(src)
                add = needs[a].append
            b = known(dst)
            if b is None:  # as in node(), without its calls: half of all ids are met here first
                b = index[dst] = len(ids)
                ids.append(dst)
                needs.append([])
            add(b)
            if how is not None:
                inferred[a, b] = how

    @property
    def needed_by(self) -> list[list[int]]:
        """The reverse of `needs`. Ask for it only when the graph is complete."""
        if self._needed_by is None:
            reverse: list[list[int]] = [[] for _ in self.ids]
            for src, targets in enumerate(self.needs):
                for dst in targets:
                    reverse[dst].append(src)
            self._needed_by = reverse
        return self._needed_by

    def peeled(self) -> tuple[Sequence[int], Sequence[int]]:
        """What no cycle leads to, each after all that need it; and the core: all that is in a
        cycle or needed by it, however indirectly. Ask only when the graph is complete."""
        if self._peeled is None:
            needs = self.needs
            waiters = list(map(len, self.needed_by))
            order = [n for n, count in enumerate(waiters) if not count]
            for here in order:
                for n in needs[here]:
                    waiters[n] = left = waiters[n] - 1
                    if not left:
                        order.append(n)
            self._peeled = order, [n for n, count in enumerate(waiters) if count]
        return self._peeled

    def waiting_for(self, some: Iterable[int], closed: bytearray | None = None) -> list[int]:
        """`some`, and all who wait for one of them, directly and through others: nearest first,
        none twice. Numbers that are 1 in `closed` are neither counted nor passed through."""
        needed_by = self.needed_by
        seen = bytearray(len(self)) if closed is None else closed
        found = list(some)
        for n in found:
            seen[n] = 1
        for here in found:
            for waiter in needed_by[here]:
                if not seen[waiter]:
                    seen[waiter] = 1
                    found.append(waiter)
        if closed is not None:
            for n in found:
                closed[n] = 0
        return found

    def components(self, within: Collection[int] | None = None) -> list[list[int]]:
        """Strongly connected components, what is needed before what needs it."""
        nodes = range(len(self)) if within is None else sorted(within)
        place = {n: i for i, n in enumerate(nodes)}
        graph = rx.PyDiGraph(multigraph=True)
        graph.add_nodes_from(nodes)
        graph.extend_from_edge_list(
            [(place[src], place[dst]) for src in nodes for dst in self.needs[src] if dst in place]
        )
        return [[nodes[i] for i in part] for part in rx.strongly_connected_components(graph)]


def build(
    edges: Iterable[Edge], any_ids: Iterable[str] = (), limited_ids: Iterable[str] = ()
) -> WaitGraph:
    """A graph of `edges`; `any_ids` are OR waits, `limited_ids` end by themselves."""
    graph = WaitGraph()
    graph.extend(edges)
    graph.any = {graph.index[i] for i in any_ids if i in graph.index}
    graph.limited = {graph.index[i] for i in limited_ids if i in graph.index}
    return graph


def is_cycle(graph: WaitGraph, component: Sequence[int]) -> bool:
    """Whether a component holds a cycle: more than one node, or one that needs itself."""
    return len(component) > 1 or component[0] in graph.needs[component[0]]


def stuck(graph: WaitGraph) -> set[int]:
    """The nodes that can never go on, whatever the others do (see the head of this file)."""
    peeled, core = graph.peeled()
    held = _stuck_core(graph, core)
    if not held:
        return held  # nobody is stuck but in a cycle or behind one
    needs, alternatives, limited = graph.needs, graph.any, graph.limited
    for n in reversed(peeled):
        if n in limited or held.isdisjoint(needs[n]):
            continue
        if n not in alternatives or held.issuperset(needs[n]):
            held.add(n)
    return held


def _stuck_core(graph: WaitGraph, core: Sequence[int]) -> set[int]:
    """The stuck of the core, which needs nothing outside of itself."""
    needs = graph.needs
    needed_by: dict[int, list[int]] = {n: [] for n in core}
    for n in core:
        for target in needs[n]:
            needed_by[target].append(n)
    open_needs = {n: len(needs[n]) for n in core}
    held = set(core)
    free = deque(n for n in core if not needs[n] or n in graph.limited)
    held.difference_update(free)
    while free:
        for waiter in needed_by[free.popleft()]:
            if waiter not in held:
                continue
            open_needs[waiter] -= 1
            if waiter in graph.any or open_needs[waiter] == 0:
                held.remove(waiter)
                free.append(waiter)
    return held


@dataclass(frozen=True, slots=True)
class Deadlock:
    """A knot of nodes that wait for each other. Numbers are those of the graph."""

    members: tuple[int, ...]
    """Everything in the knot."""
    cycle: tuple[int, ...]
    """One shortest cycle through it; each needs the next, the last needs the first."""
    behind: tuple[int, ...]
    """The innocent: stuck only because they wait, directly or not, for the knot; nearest first."""
    exhausted: tuple[int, ...]
    """Members that would go on if any of several things happened, none of which can."""


def deadlocks(graph: WaitGraph, stuck_nodes: set[int] | None = None) -> list[Deadlock]:
    """Every knot, apart from each other, those with most waiting behind them first."""
    held = stuck(graph) if stuck_nodes is None else stuck_nodes
    if not held:
        return []
    tangled = held.intersection(graph.peeled()[1])
    knots = [part for part in graph.components(tangled) if is_cycle(graph, part)]
    tied = {n for knot in knots for n in knot}
    free = bytearray(b"\1") * len(graph)
    for n in held:
        free[n] = 0
    found = [
        Deadlock(
            tuple(sorted(knot)),
            tuple(shortest_cycle(graph, knot)),
            tuple([n for n in graph.waiting_for(knot, free) if n not in tied]),
            tuple(sorted(n for n in knot if n in graph.any and len(graph.needs[n]) > 1)),
        )
        for knot in knots
    ]
    return sorted(found, key=lambda d: (-len(d.behind), -len(d.members), graph.ids[d.members[0]]))


CYCLE_STARTS = 32
"""From how many members the shortest cycle is searched: large knots are not searched whole."""


def shortest_cycle(graph: WaitGraph, knot: Collection[int]) -> list[int]:
    """A shortest cycle in a knot, starting at the member with the smallest id."""
    inside = set(knot)
    best: list[int] = []
    for start in sorted(inside, key=graph.ids.__getitem__)[:CYCLE_STARTS]:
        path = way_back(graph, start, inside)
        if path and (not best or len(path) < len(best)):
            best = path
    first = min(range(len(best)), key=lambda i: graph.ids[best[i]])
    return best[first:] + best[:first]


def way_back(graph: WaitGraph, start: int, inside: set[int]) -> list[int]:
    """A shortest circle from `start` through nodes `inside`, each once; [] if there is none."""
    came_from: dict[int, int] = {}
    todo = deque([start])
    while todo:
        here = todo.popleft()
        for there in graph.needs[here]:
            if there == start:
                path = [here]
                while path[-1] != start:
                    path.append(came_from[path[-1]])
                return path[::-1]
            if there in inside and there not in came_from:
                came_from[there] = here
                todo.append(there)
    return []
