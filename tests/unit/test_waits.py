"""The wait analysis against its definition, tried on every subset of small random graphs."""

from itertools import chain, combinations

import pytest
from hypothesis import given, settings

from peepsd.core import waits
from tests.support.wait_graphs import graph_of, wait_graphs


def subsets(nodes):
    return chain.from_iterable(combinations(nodes, size) for size in range(len(nodes) + 1))


def is_consistent(graph: waits.WaitGraph, held: frozenset[int]) -> bool:
    """Whether everybody in `held` is kept from going on by others in `held` alone."""
    for n in held:
        needs = graph.needs[n]
        if n in graph.limited or not needs:
            return False
        quantifier = all if n in graph.any else any
        if not quantifier(m in held for m in needs):
            return False
    return True


def brute_force_stuck(graph: waits.WaitGraph) -> set[int]:
    """The union of all consistent sets, which is the greatest of them."""
    found: set[int] = set()
    for candidate in subsets(range(len(graph))):
        if is_consistent(graph, frozenset(candidate)):
            found |= set(candidate)
    return found


def reaches(graph: waits.WaitGraph, start: int, within: set[int]) -> set[int]:
    seen: set[int] = set()
    todo = [start]
    while todo:
        for m in graph.needs[todo.pop()]:
            if m in within and m not in seen:
                seen.add(m)
                todo.append(m)
    return seen


@settings(max_examples=400, deadline=None)
@given(wait_graphs())
def test_stuck_is_the_greatest_consistent_set(graph: waits.WaitGraph) -> None:
    assert waits.stuck(graph) == brute_force_stuck(graph)


@settings(max_examples=300, deadline=None)
@given(wait_graphs())
def test_deadlocks_are_the_knots_of_the_stuck(graph: waits.WaitGraph) -> None:
    held = brute_force_stuck(graph)
    knots = {
        frozenset(m for m in held if n in reaches(graph, m, held) and m in reaches(graph, n, held))
        for n in held
        if n in reaches(graph, n, held)
    }
    found = waits.deadlocks(graph)
    assert {frozenset(d.members) for d in found} == knots
    tied = set().union(*knots) if knots else set()
    for deadlock in found:
        expected = {n for n in held - tied if reaches(graph, n, held) & set(deadlock.members)}
        assert set(deadlock.behind) == expected
    assert held == tied.union(*(d.behind for d in found))


@settings(max_examples=300, deadline=None)
@given(wait_graphs())
def test_cycle_is_a_shortest_one(graph: waits.WaitGraph) -> None:
    for deadlock in waits.deadlocks(graph):
        cycle = deadlock.cycle
        assert set(cycle) <= set(deadlock.members)
        assert len(set(cycle)) == len(cycle)
        assert graph.ids[cycle[0]] == min(graph.ids[n] for n in cycle)
        for here, there in zip(cycle, cycle[1:] + cycle[:1], strict=True):
            assert there in graph.needs[here]


@settings(max_examples=200, deadline=None)
@given(wait_graphs())
def test_components_come_with_what_is_needed_first(graph: waits.WaitGraph) -> None:
    order = {n: i for i, part in enumerate(graph.components()) for n in part}
    for src, targets in enumerate(graph.needs):
        for dst in targets:
            assert order[dst] <= order[src]


CASES = {
    "a cycle of two": ({(0, 1), (1, 0)}, (), (), {0, 1}),
    "a task that awaits itself": ({(0, 0)}, (), (), {0}),
    "a chain": ({(0, 1), (1, 2)}, (), (), set()),
    "an innocent behind a cycle": ({(0, 1), (1, 0), (2, 0)}, (), (), {0, 1, 2}),
    "an OR wait with a way out": ({(0, 1), (1, 0), (0, 2)}, (0,), (), set()),
    "an AND wait has no way out": ({(0, 1), (1, 0), (0, 2)}, (), (), {0, 1}),
    "an OR wait, all branches stuck": (
        {(0, 1), (1, 0), (0, 2), (2, 0)},
        (0,),
        (),
        {0, 1, 2},
    ),
    "a semaphore with one holder outside of the cycle": (
        {(0, 1), (1, 2), (1, 3), (2, 4), (4, 0)},
        (1,),
        (),
        set(),
    ),
    "a time limit ends a cycle": ({(0, 1), (1, 0)}, (), (1,), set()),
}


@pytest.mark.parametrize(("edges", "any_of", "limited", "expected"), CASES.values(), ids=CASES)
def test_definition_by_example(edges, any_of, limited, expected) -> None:
    graph = graph_of(edges, any_of, limited)
    assert {int(graph.ids[n].removeprefix("task:")) for n in waits.stuck(graph)} == expected


def test_disjoint_deadlocks_are_told_apart_with_their_innocents() -> None:
    graph = graph_of({(0, 1), (1, 0), (2, 3), (3, 2), (4, 0), (5, 4), (6, 2)})
    names = [
        ([graph.ids[n][5:] for n in d.members], [graph.ids[n][5:] for n in d.behind])
        for d in waits.deadlocks(graph)
    ]
    assert names == [(["0", "1"], ["4", "5"]), (["2", "3"], ["6"])]
