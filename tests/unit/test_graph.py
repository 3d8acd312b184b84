import gc

import pytest

from peeps.graph import Breath, Graph, Limits, location, own_place


def test_ids_are_kind_origin_and_what_is_unique():
    graph = Graph("svc-1-abc")
    assert graph.node("lock", 0xFF) == "lock:svc-1-abc/ff"
    assert graph.node("task", "7f.12") == "task:svc-1-abc/7f.12"
    assert graph.ref(("lock", 0xFF)) == "lock:svc-1-abc/ff"


def test_adding_a_node_again_completes_it_and_none_never_overwrites():
    graph = Graph("o")
    graph.node("lock", 1, label="orders", waiters=2)
    graph.node("lock", 1, waiters=None, value=3)
    (row,) = graph.rows()
    assert row == {
        "id": "lock:o/1",
        "kind": "lock",
        "label": "orders",
        "attrs": {"waiters": 2, "value": 3},
    }


def test_the_same_edge_twice_is_one_edge_and_the_first_attributes_stay():
    graph = Graph("o")
    graph.edge("a", "b", "needs", inferred="how")
    graph.edge("a", "b", "needs")
    graph.edge("a", "b", "touches", nothing=None)
    assert list(graph.edge_rows()) == [
        {"src": "a", "dst": "b", "kind": "needs", "attrs": {"inferred": "how"}},
        {"src": "a", "dst": "b", "kind": "touches", "attrs": {}},
    ]
    assert graph.is_needed("b")
    assert not graph.is_needed("a")


def test_caps_are_counted_where_people_see_them():
    graph = Graph("o", Limits(nodes=2, edges=1, stack_depth=4, label_chars=5, text_chars=6))
    for key in range(4):
        graph.node("lock", key, label="too long a label")
    graph.node("lock", 0, note="longer than six")
    graph.edge("a", "b", "needs")
    graph.edge("a", "c", "needs")
    stack = graph.stack([("f.py", line, "f", "m") for line in range(10)])
    assert len(list(graph.rows())) == 2
    assert next(iter(graph.rows()))["label"] == "too …"
    assert next(iter(graph.rows()))["attrs"]["note"] == "longe…"
    assert stack == [
        "f (f.py:0)",
        "... 6 frames left out ...",
        "f (f.py:7)",
        "f (f.py:8)",
        "f (f.py:9)",
    ]
    assert graph.truncated == {"nodes": 2, "edges": 1, "labels": 2, "texts": 1, "stack_frames": 6}


def test_a_location_is_five_attributes_or_none():
    assert location(("a.py", 3, "f", "")) == {
        "ctx.location": "a.py:3",
        "ctx.file": "a.py",
        "ctx.line": 3,
        "ctx.function": "f",
        "ctx.module_path": None,
    }
    assert location(None) == {}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["/app/main.py", "/x/site-packages/lib.py"], "/app/main.py"),
        (["/x/site-packages/a.py", "/x/site-packages/b.py"], "/x/site-packages/b.py"),
        (["/app/a.py", "/app/b.py", "<frozen runpy>"], "/app/b.py"),
        ([], None),
    ],
)
def test_a_task_is_located_in_the_program_rather_than_in_a_library(files, expected):
    place = own_place([(file, 1, "f", "") for file in files])
    assert (place[0] if place else None) == expected


def test_breath_hands_over_the_interpreter_lock_once_in_a_while(monkeypatch):
    now = [10.0]
    slept = []
    monkeypatch.setattr("peeps.unpatched.perf_counter", lambda: now[0])
    monkeypatch.setattr("peeps.unpatched.sleep", slept.append)
    breath = Breath(every_s=1.0)
    for _ in range(160):
        breath.take()
        now[0] += 0.05  # 16 takes are 0.8 s
    assert 4 <= len(slept) <= 5


def test_loose_ends_are_dropped_or_get_a_bare_node_and_other_processes_are_left_alone():
    graph = Graph("me")
    here = graph.node("thread", 1)
    graph.edge(here, graph.id("task", 2), "needs")
    graph.edge(here, graph.id("command", "pid-7"), "needs")
    graph.edge(here, "socket:tcp:1>2", "needs")
    graph.edge(here, "task:other-1-abc/2", "needs")
    assert graph.drop_loose_ends() == 1
    assert {edge["dst"] for edge in graph.edge_rows()} == {
        "command:me/pid-7",
        "socket:tcp:1>2",
        "task:other-1-abc/2",
    }
    assert {row["id"] for row in graph.rows()} == {here, "command:me/pid-7"}


def test_nodes_keep_few_objects_that_python_has_to_look_after():
    """A collection of all garbage starts when too many have come: it would hold the host up."""
    graph = Graph("o")
    stack = graph.stack([("f.py", 1, "f", "m")])
    for number in range(3):
        graph.node("task", number, label="a task", stack=stack, line=number, name="x")
        graph.edge("a", f"b{number}", "needs", op="get")
    assert not any(map(gc.is_tracked, graph._attrs.values()))
    assert not any(map(gc.is_tracked, graph._edges.values()))
    assert [row["attrs"] for row in graph.rows()] == [
        {"line": number, "name": "x", "stack": ["f (f.py:1)"]} for number in range(3)
    ]
