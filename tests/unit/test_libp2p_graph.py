import json

import pytest

from peepsd.core.reply import Reply, parse_peer_message
from peepsd.feed.libp2p_graph import graph_of, graph_reply, safe_name
from peepsd.feed.pb import introspection_pb2 as pb
from peepsd.feed.recording import Record, read_file

from ..support.recordings import a_state
from .test_recording import SAMPLE, needs_sample

RUNTIME = pb.Runtime(implementation="go-libp2p", version="2", peer_id="me", platform="os")


def parsed(state: pb.State, runtime: pb.Runtime = RUNTIME) -> Reply:
    payload, problems = graph_reply(state, runtime, "ws://n/introspect", 7, "go-libp2p-me")
    assert problems == []
    reply = parse_peer_message(payload)
    assert isinstance(reply, Reply)
    assert reply.problems == []
    return reply


def test_it_is_a_reply_like_any_process_sends() -> None:
    reply = parsed(a_state(3))
    assert (reply.snapshot_id, reply.process, reply.pid) == (7, "go-libp2p-me", 0)
    assert reply.captured_at_ns == a_state(3).instant_ts * 1_000_000
    assert (reply.node_count, reply.edge_count) == (9, 15)


def test_an_empty_state_is_the_node_alone() -> None:
    reply = parsed(pb.State(), pb.Runtime())
    assert (reply.node_count, reply.edge_count) == (1, 0)
    assert reply.captured_at_ns is None


def test_an_older_state_says_so() -> None:
    payload = json.loads(graph_reply(a_state(1), RUNTIME, "u", 7, "p", state_age_ms=1_500)[0])
    assert payload["graph"]["nodes"][0]["attrs"]["state_age_ms"] == 1_500
    fresh = json.loads(graph_reply(a_state(1), RUNTIME, "u", 7, "p")[0])
    assert "state_age_ms" not in fresh["graph"]["nodes"][0]["attrs"]


def test_roles_say_who_opened_what() -> None:
    state = a_state(1, peers=1)
    connection = state.subsystems.connections[0]
    connection.role = pb.INITIATOR
    connection.streams.streams[0].role = pb.RESPONDER
    edges = {(e["src"], e["kind"], e["dst"]) for e in graph_of(state, RUNTIME, "u")[0]["edges"]}
    assert ("libp2p_node:me", "spawned", "libp2p_connection:me/01000000") in edges
    assert ("libp2p_peer:me/peer1", "spawned", "libp2p_stream:me/01000000/00000000") in edges
    assert not any(kind == "needs" for _, kind, _ in edges)


def test_a_relayed_connection_touches_the_one_it_runs_over() -> None:
    state = a_state(1)
    state.subsystems.connections[1].conn_id = state.subsystems.connections[0].id
    edges = {(e["src"], e["kind"], e["dst"]) for e in graph_of(state, RUNTIME, "u")[0]["edges"]}
    one, other = "libp2p_connection:me/01000000", "libp2p_connection:me/02000000"
    assert (other, "touches", one) in edges


def test_the_dht_and_enum_values_of_later_revisions() -> None:
    state = a_state(1)
    dht = state.subsystems.dht
    dht.protocol, dht.params.k, dht.outgoing_queries.timeout = "/kad/1", 20, 3
    state.subsystems.connections[0].status = 77  # type: ignore[assignment]
    nodes = {node["id"]: node for node in graph_of(state, RUNTIME, "u")[0]["nodes"]}
    about = nodes["libp2p_node:me"]["attrs"]["dht"]
    assert about == {"protocol": "/kad/1", "k": 20, "queries": {"out_timeout": 3}}
    assert nodes["libp2p_connection:me/01000000"]["attrs"]["status"] == "77"
    far = nodes["libp2p_peer:me/far away"]["attrs"]
    assert far == {"peer_id": "far away", "dht_status": "missing"}
    assert nodes["libp2p_peer:me/peer1"]["attrs"]["age_in_bucket"] == 7
    json.dumps(list(nodes.values()))


@pytest.mark.parametrize(
    ("peer_id", "name"),
    [
        ("QmPeer", "QmPeer"),
        ("a b/c:d", "a b/c:d"),
        ("nul\0end", "nul%00end"),
        ("two\nlines", "two%0Alines"),
        ("right-to-left\u202e", "right-to-left%E2%80%AE"),
        ("50%00", "50%2500"),
        ("Grüße", "Grüße"),
    ],
)
def test_a_peer_id_is_escaped_where_it_stands_in_an_id(peer_id: str, name: str) -> None:
    assert safe_name(peer_id) == name


@pytest.mark.parametrize("odd", ["nul\0end", "x" * 5_000, "\u2028" * 300])
def test_odd_peer_ids_are_stored_and_on_record(odd: str) -> None:
    state = a_state(1)
    connection = state.subsystems.connections[0]
    connection.peer_id, connection.id = odd, b"\xff" * 600
    connection.streams.streams[0].id = b"\xfe" * 600
    connection.streams.streams[0].protocol = odd
    runtime = pb.Runtime(implementation="go", peer_id=odd)
    plain, _ = graph_of(a_state(1), RUNTIME, "u")
    payload, [problem] = graph_reply(state, runtime, "u", 7, "p")
    reply = parse_peer_message(payload)
    assert isinstance(reply, Reply)
    assert reply.problems == []  # nothing of it is refused
    assert reply.node_count == len(plain["nodes"]) + 1  # peer1 is still in the DHT
    assert (problem.event_kind, problem.count) == ("invalid_text", 3)
    peers = {node["attrs"].get("peer_id") for node in json.loads(payload)["graph"]["nodes"]}
    assert odd in peers


def test_a_peer_without_id_is_nobody_in_particular() -> None:
    state = a_state(1, peers=1)
    state.subsystems.connections[0].peer_id = ""
    edges = graph_of(state, RUNTIME, "u")[0]["edges"]
    assert not any(edge["dst"] == "libp2p_node:" for edge in edges)


@needs_sample
def test_every_state_of_the_sample_recording_is_a_graph() -> None:
    for item in read_file(SAMPLE):
        assert isinstance(item, Record)
        state = pb.ServerMessage.FromString(item.message).state
        if not state.instant_ts:
            continue
        reply = parsed(state)
        connections = state.subsystems.connections
        streams = sum(len(c.streams.streams) for c in connections)
        entries = {e.peer_id for b in state.subsystems.dht.buckets for e in b.peers}
        peers = {c.peer_id for c in connections} | entries
        buckets = len(state.subsystems.dht.buckets)
        assert reply.node_count == 1 + len(connections) + streams + len(peers) + buckets
