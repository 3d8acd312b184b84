"""Which way down explains a wait."""

from itertools import pairwise

import pytest
from hypothesis import given, settings

from peepsd.core import chains as module
from peepsd.core import waits
from peepsd.core.chains import Chain, Chains
from tests.support.wait_graphs import graph_of, wait_graphs


def chains_of(graph: waits.WaitGraph) -> Chains:
    held = waits.stuck(graph)
    return Chains(graph, held, waits.deadlocks(graph, held))


def explain(graph: waits.WaitGraph, start: int, worst: int | None = None) -> Chain:
    def judge(roots: list[int]) -> list[int]:
        return [0 if graph.ids[n] == f"task:{worst}" else 1 for n in roots]

    return chains_of(graph).explain(graph.index[f"task:{start}"], judge)


def names(graph: waits.WaitGraph, chain: Chain) -> list[int]:
    return [int(graph.ids[n].removeprefix("task:")) for n in chain.path]


def test_the_nearest_of_equal_roots() -> None:
    graph = graph_of({(0, 1), (1, 2), (0, 3)})
    assert names(graph, explain(graph, 0)) == [0, 3]


def test_the_most_telling_root_before_the_nearest() -> None:
    graph = graph_of({(0, 1), (1, 2), (0, 3)})
    assert names(graph, explain(graph, 0, worst=2)) == [0, 1, 2]


def test_an_innocent_leads_to_the_knot() -> None:
    graph = graph_of({(0, 1), (1, 2), (2, 1), (0, 3)})
    chain = explain(graph, 0, worst=3)
    assert names(graph, chain) == [0, 1]
    assert chain.deadlock is not None


def test_a_free_or_wait_is_not_explained_by_its_stuck_branch() -> None:
    graph = graph_of({(0, 1), (1, 2), (2, 1), (0, 3)}, any_of=[0])
    chain = explain(graph, 0)
    assert names(graph, chain) == [0, 3]
    assert chain.deadlock is None


def test_a_circle_that_time_will_end_leads_round_through_the_wait_with_a_limit() -> None:
    graph = graph_of({(0, 1), (1, 2), (2, 0)}, limited=[1])
    for start, path in ((0, [0, 1, 2, 0]), (1, [1, 2, 0, 1]), (2, [2, 0, 1, 2])):
        chain = explain(graph, start)
        assert (names(graph, chain), chain.roots_seen, chain.is_cut_short) == (path, 0, False)


def test_a_search_cut_short_leads_to_the_farthest_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SEARCH_LIMIT", 10)
    graph = graph_of({(n, n + 1) for n in range(20)})
    chain = explain(graph, 0)
    assert (names(graph, chain), chain.is_cut_short) == (list(range(10)), True)


@settings(max_examples=200, deadline=None)
@given(wait_graphs())
def test_chains_are_paths_and_stuck_nodes_end_in_knots(graph: waits.WaitGraph) -> None:
    chains = chains_of(graph)
    held = waits.stuck(graph)
    for start in range(len(graph)):
        chain = chains.explain(start, lambda roots: [0] * len(roots))
        assert chain.path[0] == start
        for here, there in pairwise(chain.path):
            assert there in graph.needs[here]
        if start in held:
            assert chain.deadlock is not None
        elif not graph.limited:
            assert chain.deadlock is None
