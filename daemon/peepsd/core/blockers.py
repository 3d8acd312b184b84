"""Who holds up how many others.

Decides the ranking of blockers by direct and transitive waiters without a search per node: the
graph is condensed, counts are added up along it, and only where a waiter could be counted twice
is a candidate counted exactly, best bound first, until the rank is certain. Refuses to know SQL
and words.
"""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .waits import WaitGraph


@dataclass(frozen=True, slots=True)
class Blocker:
    """A node that others wait for. Counts are of tasks, threads and their like only."""

    node: int
    direct: int
    """Waiters with nothing but resources between them and the blocker."""
    total: int
    """All who wait for it, through whatever."""
    is_root: bool
    """It waits for nothing itself, or only for its own knot."""


def rank(
    graph: WaitGraph,
    counts_as_waiter: Callable[[str], bool],
    is_candidate: Callable[[int], bool],
    limit: int,
) -> list[Blocker]:
    """The `limit` candidates with most waiters, most first; at a tie, roots first.

    `counts_as_waiter` judges by node id, `is_candidate` by number.
    """
    condensed = _Condensed(graph, counts_as_waiter)
    queue = [
        (-condensed.bound(n), not condensed.is_root(n), graph.ids[n], n)
        for n in range(len(graph))
        if graph.needed_by[n] and is_candidate(n)
    ]
    heapq.heapify(queue)
    exact: list[tuple[int, bool, str, int]] = []
    while queue:
        best_case = heapq.heappop(queue)
        if len(exact) >= limit and best_case > exact[-1]:
            break  # the queue holds nothing better: its bounds only overestimate
        bound, not_root, node_id, n = best_case
        total = -bound if condensed.is_exact(n) else condensed.count(n)
        exact.append((-total, not_root, node_id, n))
        exact.sort()
        del exact[limit:]
    return [
        Blocker(n, direct_waiters(graph, n, counts_as_waiter), -total, condensed.is_root(n))
        for total, _, _, n in exact
        if total
    ]


def direct_waiters(graph: WaitGraph, blocker: int, counts: Callable[[str], bool]) -> int:
    """How many waiters have nothing but resources between them and `blocker`."""
    seen = {blocker}
    todo = [blocker]
    found = 0
    while todo:
        for waiter in graph.needed_by[todo.pop()]:
            if waiter in seen:
                continue
            seen.add(waiter)
            if counts(graph.ids[waiter]):
                found += 1
            else:
                todo.append(waiter)
    return found


class _Condensed:
    """The graph with each knot drawn as one node, and waiters added up along it."""

    def __init__(self, graph: WaitGraph, counts: Callable[[str], bool]) -> None:
        self._graph = graph
        self._components = graph.components()
        self._of = [0] * len(graph)
        for c, members in enumerate(self._components):
            for n in members:
                self._of[n] = c
        self._weight = [sum(counts(graph.ids[n]) for n in part) for part in self._components]
        self._all = sum(self._weight)
        self._own = [counts(i) for i in graph.ids]
        self._needs = self._condense()
        self._above: list[int] = [0] * len(self._components)
        self._tree = bytearray(b"\1") * len(self._components)
        self._add_up()
        if 0 in self._tree:
            self._tighten()

    def _condense(self) -> list[Sequence[int]]:
        of, needs = self._of, self._graph.needs
        condensed: list[Sequence[int]] = []
        for c, members in enumerate(self._components):
            if len(members) == 1 and len(needs[members[0]]) == 1:
                target = of[needs[members[0]][0]]
                condensed.append((target,) if target != c else ())
            else:
                condensed.append(tuple({of[m] for n in members for m in needs[n]} - {c}))
        return condensed

    def _add_up(self) -> None:
        # Components come with what is needed first, so waiters are met in reverse.
        for c in range(len(self._components) - 1, -1, -1):
            below = self._needs[c]
            single = len(below) <= 1 and self._tree[c]
            passed_on = self._above[c] + self._weight[c]
            for target in below:
                if (total := self._above[target] + passed_on) > self._all:
                    total = self._all  # counted twice over and over: numbers would grow without end
                self._above[target] = total
                if not single:
                    self._tree[target] = 0

    def _tighten(self) -> None:
        # Whoever waits for c, and c itself, wait for all that c needs: it has more waiters than c.
        above = self._above
        for c, below in enumerate(self._needs):
            if not self._tree[c]:
                most = min((above[target] for target in below), default=self._all)
                above[c] = min(above[c], most - self._weight[c])

    def bound(self, n: int) -> int:
        """At most so many wait for n."""
        c = self._of[n]
        return self._above[c] + self._weight[c] - self._own[n]

    def is_exact(self, n: int) -> bool:
        """Whether nobody was counted twice in `bound`."""
        return bool(self._tree[self._of[n]])

    def is_root(self, n: int) -> bool:
        """Whether n needs nothing outside of its own knot."""
        return not self._needs[self._of[n]]

    def count(self, n: int) -> int:
        """Exactly how many wait for n."""
        seen = {n}
        todo = [n]
        found = 0
        own, needed_by = self._own, self._graph.needed_by
        while todo:
            for waiter in needed_by[todo.pop()]:
                if waiter not in seen:
                    seen.add(waiter)
                    found += own[waiter]
                    todo.append(waiter)
        return found
