"""Replies: what is kept, what is a problem, what costs the whole reply."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peeps.wire.errors import MessageError
from peepsd.core import offload
from peepsd.core.chunks import Chunk
from peepsd.core.reply import (
    BadReply,
    HelloMessage,
    Reply,
    UnknownMessage,
    parse_peer_message,
)


def message(graph: Any = None, **changes: Any) -> bytes:
    base = {"type": "graph_reply", "snapshot_id": 7, "process": "web", "pid": 1, "graph": graph}
    return json.dumps(base | changes).encode()


def node(id: Any = "task:a", kind: Any = "task", **more: Any) -> dict[str, Any]:
    return {"id": id, "kind": kind, "label": None, "attrs_json": "{}"} | more


def edge(src: Any = "task:a", dst: Any = "lock:b", kind: Any = "needs") -> dict[str, Any]:
    return {"src": src, "dst": dst, "kind": kind, "attrs_json": "{}"}


def parse(payload: bytes) -> Reply:
    reply = parse_peer_message(payload)
    assert isinstance(reply, Reply)
    return reply


def rows(reply: Reply) -> tuple[list[Any], list[Any]]:
    """The reply's node and edge rows as tuples."""
    return rows_in(reply.node_chunks, 4), rows_in(reply.edge_chunks, 4)


def rows_in(chunks: list[Chunk], width: int) -> list[Any]:
    found = []
    for chunk in chunks:
        values = chunk.unpacked()
        assert len(values) == chunk.count * width
        found += zip(*[iter(values)] * width, strict=True)
    return found


def problems(reply: Reply) -> dict[str, int]:
    return {p.event_kind: p.count for p in reply.problems}


def test_a_whole_reply_becomes_rows_sorted_by_key() -> None:
    graph = {
        "process_name": "web",
        "proc_key": "x",
        "nodes": [node("task:b", label="B"), node("task:a", attrs_json='{"x": 1}')],
        "edges": [edge()],
    }
    reply = parse(message(graph, captured_at_ns=5, capture_ns=6))
    assert rows(reply) == (
        [("task:a", "task", None, '{"x": 1}'), ("task:b", "task", "B", "{}")],
        [("task:a", "lock:b", "needs", "{}")],
    )
    assert (reply.snapshot_id, reply.process, reply.pid) == (7, "web", 1)
    assert (reply.captured_at_ns, reply.capture_ns, reply.problems) == (5, 6, [])


def test_edges_that_lead_out_of_the_graph_are_told() -> None:
    inside, out, into = edge(dst="task:b"), edge(), edge(src="task:elsewhere", dst="task:b")
    reply = parse(message({"nodes": [node(), node("task:b")], "edges": [inside, out, into]}))
    assert rows_in(reply.open_chunks, 3) == [
        ("task:a", "lock:b", "needs"),
        ("task:elsewhere", "task:b", "needs"),
    ]
    assert reply.edge_count == 3


@pytest.mark.parametrize(
    ("item", "attrs"),
    [
        (node(attrs_json='{"a":[1,{}]}'), '{"a":[1,{}]}'),
        (node(attrs_json=None), "{}"),
        ({"id": "task:a", "kind": "task"}, "{}"),
        ({"id": "task:a", "kind": "task", "attrs": {"a": 1}}, '{"a": 1}'),
        ({"id": "task:a", "kind": "task", "attrs": None, "more": [[]]}, "{}"),
    ],
)
def test_attributes_come_as_text_or_as_an_object(item: dict[str, Any], attrs: str) -> None:
    nodes, _ = rows(parse(message({"nodes": [item], "edges": []})))
    assert nodes == [("task:a", "task", None, attrs)]


@pytest.mark.parametrize(
    ("bad", "event_kind"),
    [
        (node(id=5), "invalid_node"),
        (node(id=""), "invalid_node"),
        (node(id="x" * 1025), "invalid_node"),
        (node(id="a\0b"), "invalid_node"),
        (node(kind=None), "invalid_node"),
        (node(kind="k" * 65), "invalid_node"),
        (node(label=1), "invalid_node"),
        (node(attrs_json="[1]"), "invalid_node"),
        (node(attrs_json="{"), "invalid_node"),
        (node(attrs_json=7), "invalid_node"),
        (node(attrs_json=None, attrs=[]), "invalid_node"),
        (node(attrs_json='{"n":1e999}'), "invalid_node"),
        (node(attrs_json=f'{{"n":{"9" * 5000}}}'), "invalid_node"),
        (node(attrs_json='{"a":' * 950 + "1" + "}" * 950), "invalid_node"),
        (7, "invalid_node"),
        ([], "invalid_node"),
        (node("task:good"), "duplicate_node"),
    ],
)
def test_a_bad_node_costs_that_node_alone(bad: Any, event_kind: str) -> None:
    reply = parse(message({"nodes": [node("task:good"), bad], "edges": [edge()]}))
    nodes, edges = rows(reply)
    assert [n[0] for n in nodes] == ["task:good"]
    assert len(edges) == 1
    assert problems(reply) == {event_kind: 1}


def test_a_bad_number_in_an_object_costs_that_node_alone() -> None:
    payload = message({"nodes": [node("task:good"), node(attrs={"n": "X"}) | {"attrs_json": None}]})
    reply = parse(payload.replace(b'"nodes"', b'"edges": [], "nodes"').replace(b'"X"', b"1e999"))
    assert [n[0] for n in rows(reply)[0]] == ["task:good"]
    assert "beyond the range" in reply.problems[0].detail


@pytest.mark.parametrize(
    ("bad", "event_kind"),
    [
        (edge(src=None), "invalid_edge"),
        (edge(kind="n\0"), "invalid_edge"),
        ({"src": "a"}, "invalid_edge"),
        (edge() | {"attrs_json": "1"}, "invalid_edge"),
        (edge() | {"attrs_json": '{"n":-1E+400}'}, "invalid_edge"),
        (edge(), "duplicate_edge"),
    ],
)
def test_a_bad_edge_costs_that_edge_alone(bad: Any, event_kind: str) -> None:
    reply = parse(message({"nodes": [node()], "edges": [edge(), bad]}))
    nodes, edges = rows(reply)
    assert (len(nodes), len(edges)) == (1, 1)
    assert problems(reply) == {event_kind: 1}


def test_a_label_never_holds_a_nul() -> None:
    reply = parse(message({"nodes": [node(label="a\0b")], "edges": []}))
    assert rows(reply)[0][0][2] == "a\ufffdb"
    assert problems(reply) == {"invalid_text": 1}


def test_a_hundred_thousand_bad_nodes_are_one_problem() -> None:
    reply = parse(message({"nodes": [1] * 100_000 + [node()], "edges": []}))
    assert reply.node_count == 1
    assert problems(reply) == {"invalid_node": 100_000}


def test_no_graph_is_a_reply_all_the_same() -> None:
    reply = parse(message(None, error="locked"))
    assert (reply.has_graph, reply.error, reply.node_count) == (False, "locked", 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"pid": "1"},
        {"pid": -1},
        {"pid": True},
        {"pid": 2**63},
        {"process": None},
        {"graph": []},
        {"graph": {"nodes": {}}},
        {"captured_at_ns": "now"},
    ],
)
def test_a_malformed_reply_still_tells_its_snapshot(changes: dict[str, Any]) -> None:
    with pytest.raises(BadReply) as caught:
        parse_peer_message(message(**changes))
    assert caught.value.snapshot_id == 7


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"7",
        b'{"type": 1}',
        b"{}",
        message(snapshot_id=2**63),
        message(snapshot_id="7"),
        message(snapshot_id=None),
        b'{"type":"graph_reply","snapshot_id":7,"graph":' + b"[" * 100_000,
        b'{"type":"hello","process":"x","pid":-1}',
        b'{"type":"hello","process":"x"}',
        b'{"type":"graph_reply","snapshot_id":NaN}',
    ],
)
def test_what_names_no_snapshot_is_a_message_error(payload: bytes) -> None:
    with pytest.raises(MessageError) as caught:
        parse_peer_message(payload)
    assert not isinstance(caught.value, BadReply)


def test_other_types_are_told_apart() -> None:
    with pytest.raises(UnknownMessage, match="snapshot_request"):
        parse_peer_message(b'{"type":"snapshot_request","snapshot_id":1}')


def test_hello() -> None:
    got = parse_peer_message(b'{"type":"hello","process":"w","pid":3,"host":"h","new":1}')
    assert got == HelloMessage("w", 3, "h")


def test_unknown_structure_is_skipped_at_any_size() -> None:
    payload = message(None, junk=0).replace(b'"junk": 0', b'"junk": [' + b"[]," * 300_000 + b"0]")
    assert parse(payload).has_graph is False


@pytest.mark.parametrize(
    ("escaped", "kept"),
    [
        (r"caf\ud800x", "caf\ufffdx"),
        (r"\udcff", "\ufffd"),
        (r"\ud83d\ude00", "\U0001f600"),
        (r"\\ud800", r"\ud800"),
        (r"\"\ud800\"", '"\ufffd"'),
    ],
)
def test_lone_surrogates_are_replaced_not_refused(escaped: str, kept: str) -> None:
    good = message({"nodes": [node(label="LABEL")], "edges": []})
    reply = parse(good.replace(b"LABEL", escaped.encode()))
    nodes, _ = rows(reply)
    assert nodes[0][2] == kept


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)


@settings(max_examples=300)
@given(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["graph_reply", "hello", "x"])},
        optional={
            "snapshot_id": json_values,
            "process": json_values,
            "pid": st.integers() | json_values,
            "graph": json_values
            | st.fixed_dictionaries(
                {
                    "nodes": st.lists(
                        json_values | st.fixed_dictionaries({"id": json_values, "kind": st.text()})
                    ),
                    "edges": st.lists(json_values),
                }
            ),
        },
    )
)
def test_whatever_a_peer_sends_is_understood_or_refused(value: Any) -> None:
    payload = json.dumps(value).encode()
    try:
        here: Any = parse_peer_message(payload)
    except MessageError as exc:
        here = (type(exc), str(exc))
    if isinstance(here, HelloMessage):
        return
    try:
        there: Any = offload.unpack(offload.handle(payload))
    except MessageError as exc:
        there = (type(exc), str(exc))
    if isinstance(here, Reply):
        assert rows(there) == rows(here)
        assert rows_in(there.open_chunks, 3) == rows_in(here.open_chunks, 3)
        assert there.problems == here.problems
    else:
        assert there == here


@given(st.binary(max_size=200))
def test_noise_is_a_message_error(noise: bytes) -> None:
    with pytest.raises(MessageError):
        parse_peer_message(noise + b"\x00")


names = st.sampled_from(["a", "b", "c", "d\0", ""])
attributes = st.fixed_dictionaries(
    {},
    optional={
        "attrs_json": st.sampled_from(["{}", '{"a":1}', "[]", None]),
        "attrs": st.sampled_from([{}, {"a": [1]}, [], 7, None]),
    },
)
some_nodes = st.builds(lambda i, more: {"id": i, "kind": "task"} | more, names, attributes)
some_edges = st.builds(
    lambda s, d, more: {"src": s, "dst": d, "kind": "needs"} | more, names, names, attributes
)


@given(st.lists(some_nodes), st.lists(some_edges))
def test_one_malformed_piece_changes_nothing_for_the_others(nodes: Any, edges: Any) -> None:
    """A graph is decoded in one go, or piece by piece if something is wrong: with the same end."""
    usual = parse(message({"nodes": nodes, "edges": edges}))
    careful = parse(message({"nodes": [*nodes, 1], "edges": [*edges, 1]}))
    assert rows(careful) == rows(usual)
    assert rows_in(careful.open_chunks, 3) == rows_in(usual.open_chunks, 3)
    found = problems(usual)
    for kind in ("invalid_node", "invalid_edge"):
        found[kind] = found.get(kind, 0) + 1
    assert problems(careful) == found
