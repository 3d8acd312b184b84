import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peeps.graph import Graph
from peeps.identity import Identity
from peeps.serialise import null_reply, reply_chunks

WHO = Identity("Svc", 7, "svc-7-abc")


def reply(graph, max_bytes=1 << 20, **more):
    return json.loads(b"".join(reply_chunks(graph, WHO, 42, max_bytes=max_bytes, **more)))


def filled(count):
    graph = Graph("o")
    for key in range(count):
        node = graph.node("lock", key, label=f"lock {key}", waiters=key)
        graph.edge(node, graph.id("lock", key + 1), "needs")
    return graph


def test_an_empty_graph_is_a_whole_reply():
    assert reply(Graph("o"), captured_at_ns=5, capture_ns=6) == {
        "type": "graph_reply",
        "snapshot_id": 42,
        "process": "Svc",
        "pid": 7,
        "captured_at_ns": 5,
        "capture_ns": 6,
        "graph": {"process_name": "Svc", "proc_key": "svc-7", "nodes": [], "edges": []},
    }


@pytest.mark.parametrize("count", [1, 15, 16, 17, 1000])
@pytest.mark.parametrize("with_orjson", [True, False])
def test_every_row_arrives_once_and_in_order(count, with_orjson, monkeypatch):
    if with_orjson:
        import orjson  # noqa: F401
    else:
        monkeypatch.delitem(__import__("sys").modules, "orjson", raising=False)
    graph = filled(count)
    found = reply(graph)
    assert found["graph"]["nodes"] == list(graph.rows())
    assert found["graph"]["edges"] == list(graph.edge_rows())
    assert "error" not in found


@given(st.integers(6000, 40_000))
def test_a_frame_limit_cuts_rows_off_and_says_so(max_bytes):
    graph = filled(300)
    chunks = reply_chunks(graph, WHO, 1, max_bytes=max_bytes)
    assert sum(map(len, chunks)) <= max_bytes
    found = json.loads(b"".join(chunks))
    sent = len(found["graph"]["nodes"])
    if sent < 300:
        assert found["graph"]["truncated"]["nodes"] == 300 - sent
        assert found["error"].startswith("truncated: ")


def test_what_the_graph_left_out_is_told_with_what_went_wrong():
    graph = Graph("o")
    graph.leave_out("stack_frames", 3)
    found = reply(graph, error="threads: capture: TypeError")
    assert found["graph"]["truncated"] == {"stack_frames": 3}
    assert found["error"] == ("truncated: 3 stack_frames left out; threads: capture: TypeError")


def test_odd_values_cost_nothing_but_their_looks():
    graph = Graph("o")
    graph.node("task", 1, label="file \udcff", big=1 << 70)
    assert reply(graph)["graph"]["nodes"][0]["attrs"]["big"] == 1 << 70


def test_a_reply_without_a_graph_tells_why():
    assert json.loads(null_reply(WHO, 9, "it broke")) == {
        "type": "graph_reply",
        "snapshot_id": 9,
        "process": "Svc",
        "pid": 7,
        "graph": None,
        "error": "it broke",
    }
