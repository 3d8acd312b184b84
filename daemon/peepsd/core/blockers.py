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

AT_ONCE = 64
"""So many candidates are counted in one pass over the graph."""


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
    condensed = _Condensed(graph, bytearray(map(counts_as_waiter, graph.ids)))
    candidates = [n for n, by in enumerate(graph.needed_by) if by and is_candidate(n)]
    certain = (condensed.bound(n) for n in candidates if condensed.is_exact(n))
    floor = min(heapq.nlargest(limit, certain), default=0)  # the rank begins there, or above
    queue = [
        (-bound, not condensed.is_root(n), graph.ids[n], n)
        for n in candidates
        if (bound := condensed.bound(n)) >= floor or not condensed.is_exact(n)
    ]
    heapq.heapify(queue)
    exact: list[tuple[int, bool, str, int]] = []
    while queue and (len(exact) < limit or queue[0] <= exact[-1]):  # bounds only overestimate
        best = [heapq.heappop(queue) for _ in range(min(AT_ONCE, len(queue)))]
        counted = condensed.count([n for *_, n in best if not condensed.is_exact(n)])
        exact += [(-counted.get(n, -bound), root, node_id, n) for bound, root, node_id, n in best]
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
    """The graph with each knot drawn as one node, and waiters added up along it.

    A knot goes by the number of one of its members; what is in no knot by its own.
    """

    def __init__(self, graph: WaitGraph, own: Sequence[int]) -> None:
        self._graph = graph
        self._own = own
        self._weight = list(own)
        self._of: dict[int, int] = {}
        """Members of knots to the number of their knot."""
        self._needs: list[Sequence[int]] = []
        """What each number needs, itself condensed; of a knot's members only one has all."""
        self._order = self._condense()
        self._all = sum(own)
        self._above = [0] * len(graph)
        self._tree = bytearray(b"\1") * len(graph)
        self._add_up()
        if 0 in self._tree:
            self._tighten()

    def _condense(self) -> list[int]:
        """Find the knots. Returns all there is, waiters before what they need."""
        graph, of = self._graph, self._of
        peeled, core = graph.peeled()
        components = graph.components(core) if core else []
        for members in components:
            for n in members:
                of[n] = members[0]
        self._needs = [self._distinct(needs) for needs in graph.needs]
        for members in components:
            c = members[0]
            self._weight[c] = sum(self._own[n] for n in members)
            self._needs[c] = tuple({of[m] for n in members for m in graph.needs[n]} - {c})
        return [*peeled, *(members[0] for members in reversed(components))]

    def _distinct(self, needs: Sequence[int]) -> Sequence[int]:
        of = self._of
        if len(needs) > 1:
            return tuple({of.get(m, m) for m in needs})
        return (of[needs[0]],) if needs and needs[0] in of else needs

    def _add_up(self) -> None:
        above, tree, weight, most = self._above, self._tree, self._weight, self._all
        for c in self._order:
            below = self._needs[c]
            is_single = len(below) <= 1 and tree[c]
            passed_on = above[c] + weight[c]
            for target in below:
                if (total := above[target] + passed_on) > most:
                    total = most  # counted twice over and over: numbers would grow without end
                above[target] = total
                if not is_single:
                    tree[target] = 0

    def _tighten(self) -> None:
        # Whoever waits for c, and c itself, wait for all that c needs: it has more waiters than c.
        above = self._above
        for c in reversed(self._order):
            if not self._tree[c]:
                most = min((above[target] for target in self._needs[c]), default=self._all)
                above[c] = min(above[c], most - self._weight[c])

    def bound(self, n: int) -> int:
        """At most so many wait for n."""
        c = self._of.get(n, n)
        return self._above[c] + self._weight[c] - self._own[n]

    def is_exact(self, n: int) -> bool:
        """Whether nobody was counted twice in `bound`."""
        return bool(self._tree[self._of.get(n, n)])

    def is_root(self, n: int) -> bool:
        """Whether n needs nothing outside of its own knot."""
        return not self._needs[self._of.get(n, n)]

    def count(self, some: Sequence[int]) -> dict[int, int]:
        """Exactly how many wait for each of some. All are counted in one pass: each node hands
        those that it waits for, as bits of a number, on to who waits for it."""
        if not some:
            return {}
        bits: dict[int, int] = {}
        for place, n in enumerate(some):
            c = self._of.get(n, n)
            bits[c] = bits.get(c, 0) | 1 << place
        waits_for = [0] * len(self._graph)
        weights: dict[int, int] = {}
        for c in reversed(self._order):
            found = bits.get(c, 0)
            for target in self._needs[c]:
                found |= waits_for[target]
            if found:
                waits_for[c] = found
                weights[found] = weights.get(found, 0) + self._weight[c]
        return {
            n: sum(weight for found, weight in weights.items() if found >> place & 1) - self._own[n]
            for place, n in enumerate(some)
        }
