"""The ranking of blockers against plain counting."""

from hypothesis import given, settings
from hypothesis import strategies as st

from peepsd.core import blockers, waits
from tests.support.wait_graphs import graph_of, wait_graphs


def waiting_for(graph: waits.WaitGraph, n: int) -> set[int]:
    seen = {n}
    todo = [n]
    while todo:
        for waiter in graph.needed_by[todo.pop()]:
            if waiter not in seen:
                seen.add(waiter)
                todo.append(waiter)
    return seen - {n}


@settings(max_examples=300, deadline=None)
@given(wait_graphs(), st.sets(st.integers(0, 6)), st.integers(1, 4))
def test_ranking_is_that_of_plain_counting(graph, resources, limit) -> None:
    def counts(node_id: str) -> bool:
        return int(node_id.removeprefix("task:")) not in resources

    found = blockers.rank(graph, counts, lambda n: True, limit)
    expected = {
        n: sum(counts(graph.ids[w]) for w in waiting_for(graph, n)) for n in range(len(graph))
    }
    assert [b.total for b in found] == [expected[b.node] for b in found]
    best = sorted((total for total in expected.values() if total), reverse=True)[:limit]
    assert [b.total for b in found] == best


def test_a_diamond_is_counted_once() -> None:
    graph = graph_of({(0, 1), (0, 2), (1, 3), (2, 3)})
    top = blockers.rank(graph, lambda _: True, lambda n: True, 1)[0]
    assert (graph.ids[top.node], top.direct, top.total, top.is_root) == ("task:3", 2, 3, True)


def test_resources_between_waiter_and_blocker_are_passed_through() -> None:
    graph = waits.build(
        [("task:a", "lock:l", None), ("task:b", "lock:l", None), ("lock:l", "task:c", None)]
    )
    found = blockers.rank(graph, lambda i: i.startswith("task:"), lambda n: True, 5)
    assert {graph.ids[b.node]: (b.direct, b.total) for b in found} == {
        "lock:l": (2, 2),
        "task:c": (2, 2),
    }


def test_at_a_tie_the_root_comes_first() -> None:
    graph = graph_of({(0, 1), (1, 2), (3, 4), (5, 4)})
    found = blockers.rank(graph, lambda _: True, lambda n: True, 2)
    assert [(graph.ids[b.node], b.total) for b in found] == [("task:2", 2), ("task:4", 2)]


def test_few_are_counted_exactly_where_ways_part_and_meet_again(monkeypatch) -> None:
    """Bounds add up along every way: in a chain of diamonds they would double at each."""
    edges = set()
    for n in range(0, 1500, 3):
        edges |= {(n, n + 1), (n, n + 2), (n + 1, n + 3), (n + 2, n + 3)}
    graph = graph_of(edges)
    counted = []
    exactly = blockers._Condensed.count
    monkeypatch.setattr(
        blockers._Condensed, "count", lambda self, some: counted.extend(some) or exactly(self, some)
    )
    found = blockers.rank(graph, lambda _: True, lambda n: True, 20)
    assert (found[0].total, found[1].total) == (1500, 1498)
    assert len(counted) <= 2 * blockers.AT_ONCE
