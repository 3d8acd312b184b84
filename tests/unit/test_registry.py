import asyncio
import gc
import weakref

import pytest

from peeps import _api
from peeps.graph import Graph
from peeps.registry import Registry


class Thing:
    pass


def built(registry):
    graph = Graph("o")
    registry.build(graph)
    return list(graph.rows()), list(graph.edge_rows())


def test_nodes_and_edges_stay_until_removed():
    registry = Registry()
    one = registry.add_node("request", "GET /", method="GET", body=object())
    two = registry.add_node("queue", "jobs")
    registry.add_edge(one.ref, two.ref, "needs", why="because")
    nodes, edges = built(registry)
    assert [(n["kind"], n["label"]) for n in nodes] == [("request", "GET /"), ("queue", "jobs")]
    assert nodes[0]["attrs"] == {"registered": True, "method": "GET", "body": "object"}
    assert edges == [
        {"src": nodes[0]["id"], "dst": nodes[1]["id"], "kind": "needs", "attrs": {"why": "because"}}
    ]
    one.set(method="POST")
    assert built(registry)[0][0]["attrs"]["method"] == "POST"
    one.remove()
    one.remove()
    nodes, edges = built(registry)
    assert [n["label"] for n in nodes] == ["jobs"]
    assert edges == []


def test_a_node_of_an_object_goes_with_it():
    registry = Registry()
    thing = Thing()
    registry.add_node("pool", "connections", of=thing)
    assert len(built(registry)[0]) == 1
    del thing
    gc.collect()
    assert built(registry)[0] == []


def test_a_name_goes_with_its_object():
    registry = Registry()
    lock = asyncio.Lock()
    registry.set_name(lock, "orders")
    assert registry.names() == {id(lock): "orders"}
    registry.set_name(lock, "bills")
    assert registry.names() == {id(lock): "bills"}
    del lock
    gc.collect()
    assert registry.names() == {}


def test_an_object_named_often_is_watched_once():
    registry = Registry()
    event = asyncio.Event()
    before = len(weakref.finalize._registry)
    for _ in range(100):
        registry.set_name(event, "stock")
    assert len(weakref.finalize._registry) <= before + 1
    assert registry.names() == {id(event): "stock"}
    del event
    gc.collect()
    assert registry.names() == {}


@pytest.fixture
def agent_on(monkeypatch):
    registry = Registry()
    monkeypatch.setattr(_api, "_registry", registry)
    return registry


def test_waiting_for_a_node_is_an_edge_from_the_calling_task(agent_on):
    async def main():
        node = _api.node("queue", "jobs")
        with _api.waiting_for(node):
            return built(agent_on)[1], id(asyncio.current_task())

    edges, task = asyncio.run(main())
    (edge,) = edges
    assert edge["kind"] == "needs"
    assert edge["src"].startswith(f"task:o/{task:x}.")
    assert edge["dst"].startswith("queue:o/app-")
    assert built(agent_on)[1] == []


@pytest.mark.parametrize("label", ["import orders", None])
def test_a_span_shows_while_its_function_runs(agent_on, label):
    seen = []

    def work(value):
        seen.append(built(agent_on))
        return value * 2

    async def work_async(value):
        seen.append(built(agent_on))
        return value * 2

    decorate = _api.span(label) if label else _api.span
    assert decorate(work)(2) == 4
    assert asyncio.run(decorate(work_async)(3)) == 6
    for nodes, edges in seen:
        ((kind, text),) = [(n["kind"], n["label"]) for n in nodes]
        assert kind == "span"
        assert text == label or text.endswith((".work", ".work_async"))
        assert edges[0]["kind"] == "touches"
    assert built(agent_on) == ([], [])


def test_everything_is_a_no_op_while_the_agent_is_off(monkeypatch):
    monkeypatch.setattr(_api, "_registry", None)
    lock = object()
    assert _api.name(lock, "orders") is lock
    node = _api.node("queue", "jobs", of=lock)
    node.set(size=1)
    assert not node
    with node, _api.waiting_for(node), _api.edge(node, node):
        pass
    node.remove()
    assert _api.span("x")(lambda value: value)(5) == 5
