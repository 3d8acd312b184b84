"""From a node to what it waits for in the end.

Decides which of many ways down is the explanation: a stuck node is followed along stuck needs
only, a free one past the branches that do not hold it, and of all roots found the most telling
and then the nearest wins. Refuses to know attributes: a caller judges roots.
"""

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from .waits import Deadlock, WaitGraph, way_back

SEARCH_LIMIT = 100_000
"""So many nodes are looked at from one start; enough for a nursery of everything."""

ROOT_LIMIT = 2_000
"""So many roots are judged from one start, nearest first."""


@dataclass(frozen=True, slots=True)
class Chain:
    """`path` starts at the node that was asked about; each needs the next."""

    path: tuple[int, ...]
    deadlock: Deadlock | None
    """The knot at its end, if it ends in one; the path's last node is then a member."""
    roots_seen: int
    """How many ends there were to choose from; 0: it leads round in a circle, which then ends
    the path, or on and on."""
    is_cut_short: bool
    """The search stopped at its limit, so a better root may exist."""


class Chains:
    """Ways down in one graph."""

    def __init__(
        self,
        graph: WaitGraph,
        stuck: set[int],
        deadlocks: Sequence[Deadlock],
        ends: Collection[int] = (),
    ) -> None:
        """`ends` are roots whatever they need themselves, such as a task that blocks its loop."""
        self._graph = graph
        self._stuck = stuck
        self._ends = frozenset(ends)
        self._knot = {n: d for d in deadlocks for n in d.members}

    def deadlock_at(self, n: int) -> Deadlock | None:
        """The knot that n is a member of."""
        return self._knot.get(n)

    def follow(self, n: int) -> list[int]:
        """The needs of n that explain why it waits."""
        needs = self._graph.needs[n]
        if n in self._ends:
            return []
        if n in self._stuck:
            return [m for m in needs if m in self._stuck]
        if n in self._graph.any:
            return [m for m in needs if m not in self._stuck]
        return needs

    def explain(self, start: int, judge: Callable[[list[int]], Sequence[int]]) -> Chain:
        """The chain from `start` to its most telling root.

        `judge` is given roots that are no knots and returns a rank for each, smaller better.
        """
        came_from: dict[int, int] = {start: start}
        depth = {start: 0}
        ends: list[int] = []
        todo = deque([start])
        while todo and len(came_from) < SEARCH_LIMIT and len(ends) < ROOT_LIMIT:
            here = todo.popleft()
            if here in self._knot:
                return Chain(_path(came_from, here), self._knot[here], len(ends) + 1, False)
            onward = self.follow(here)
            if not onward:
                ends.append(here)
            for there in onward:
                if there not in came_from:
                    came_from[there] = here
                    depth[there] = depth[here] + 1
                    todo.append(there)
        if not ends:
            end = self._without_end(came_from)
            path = list(_path(came_from, end))
            circle = way_back(self._graph, end, set(came_from))
            for n in (*circle[1:], *circle[:1]):
                path.append(n)
                if n in path[:-1]:
                    break  # round once
            return Chain(tuple(path), None, 0, bool(todo))
        ranks = judge(ends)
        best = min(zip(ranks, ends, strict=True), key=lambda r: (r[0], depth[r[1]], r[1]))[1]
        return Chain(_path(came_from, best), None, len(ends), bool(todo))

    def _without_end(self, came_from: Mapping[int, int]) -> int:
        """What stands for an end if there is none: in a circle that is no deadlock the nearest
        wait with a time limit, which breaks it; in a search cut short the farthest seen."""
        limited = self._graph.limited
        return next((n for n in came_from if n in limited), next(reversed(came_from)))


def _path(came_from: Mapping[int, int], end: int) -> tuple[int, ...]:
    path = [end]
    while came_from[path[-1]] != path[-1]:
        path.append(came_from[path[-1]])
    return tuple(reversed(path))
