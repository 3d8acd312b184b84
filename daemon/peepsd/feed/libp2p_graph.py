"""The State of a libp2p node as a graph of this project's vocabulary. Pure.

Decides nodes, edges and attributes. The node itself has an id that any participant can name;
everything else is named under it, because ids are unique across processes and two nodes may
see the same peer. Each peer touches the node that it is, so that two participating nodes find
each other; a peer that does not participate stays an unresolved edge.

    libp2p_node:ID                       dht_bucket:ID/CPL
    libp2p_peer:ID/PEER                  libp2p_connection:ID/HEX   libp2p_stream:ID/HEX/HEX

A peer id that cannot stand in a node's id is escaped there, and an absurdly long one cut; the
attribute peer_id has it as it came.

Nothing here waits for anything: there is no `needs` edge.
"""

import unicodedata
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, NamedTuple
from urllib.parse import quote

import orjson

from ..core.graph_rows import Problem
from .pb import introspection_pb2 as pb

MAX_NAME_CHARS = 200
"""Of a peer id, or of a connection's or a stream's in hex, in a node's id; three make one."""

Attributes = dict[str, Any]


class NodeReply(NamedTuple):
    """The reply that a node would have sent, had it been one of our agents."""

    payload: bytes
    """One frame's."""
    problems: list[Problem]
    """What could not be told as it came."""


@dataclass(slots=True)
class _Graph:
    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    edges: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)
    renamed: set[str] = field(default_factory=set)
    """What stands for ids that could not be used as they came."""

    def name(self, id_: str) -> str:
        """`id_` as a part of a node's id."""
        name = safe_name(id_)
        if name != id_:
            self.renamed.add(name)
        return name

    def node(self, node_id: str, kind: str, label: str, attributes: Attributes) -> str:
        known = self.nodes.setdefault(node_id, {"id": node_id, "kind": kind, "label": label})
        known.setdefault("attrs", {}).update(_set(attributes))
        return node_id

    def edge(self, src: str, kind: str, dst: str) -> None:
        self.edges[src, dst, kind] = {"src": src, "dst": dst, "kind": kind, "attrs": {}}


def graph_reply(
    state: pb.State,
    runtime: pb.Runtime,
    url: str,
    snapshot_id: int,
    process: str,
    state_age_ms: int = 0,
) -> NodeReply:
    """The State as the reply that a process would have sent.

    `state_age_ms`: how long ago it arrived, if it is an older one.
    """
    graph, problems = graph_of(state, runtime, url)
    if state_age_ms:
        graph["nodes"][0]["attrs"]["state_age_ms"] = state_age_ms
    payload = orjson.dumps(
        {
            "type": "graph_reply",
            "snapshot_id": snapshot_id,
            "process": process,
            "pid": 0,  # a node that is dialled does not tell
            "captured_at_ns": min(state.instant_ts * 1_000_000, 2**63 - 1) or None,
            "graph": graph,
        }
    )
    return NodeReply(payload, problems)


def safe_name(id_: str) -> str:
    """`id_` as it can stand in a node's id: characters that do not print are percent-encoded, as
    is the percent sign, and a long one ends in a digest. Different ids stay different."""
    if not id_.isascii() or not id_.isprintable() or "%" in id_:
        id_ = "".join(c if _is_plain(c) else quote(c, safe="") for c in id_)
    if len(id_) <= MAX_NAME_CHARS:
        return id_
    return id_[: MAX_NAME_CHARS - 17] + "~" + sha256(id_.encode()).hexdigest()[:16]


def _is_plain(character: str) -> bool:
    category = unicodedata.category(character)
    return character != "%" and category[0] != "C" and category not in ("Zl", "Zp")


def graph_of(
    state: pb.State, runtime: pb.Runtime, url: str
) -> tuple[dict[str, Any], list[Problem]]:
    """Nodes and edges of one State, and which ids could not be used as they came."""
    graph = _Graph()
    me = graph.name(runtime.peer_id or url)
    own = graph.node(
        f"libp2p_node:{me}",
        "libp2p_node",
        f"{runtime.implementation} {runtime.version}".strip() or me,
        {
            "peer_id": runtime.peer_id,
            "implementation": runtime.implementation,
            "version": runtime.version,
            "platform": runtime.platform,
            "url": url,
            "instant_ts": state.instant_ts,
            "start_ts": state.start_ts,
            "snapshot_duration_ms": state.snapshot_duration_ms,
            **_traffic(state.traffic),
        },
    )
    for connection in state.subsystems.connections:
        _add_connection(graph, me, own, connection)
    _add_dht(graph, me, own, state.subsystems.dht)
    found = {
        "process_name": runtime.implementation,
        "proc_key": me,
        "nodes": list(graph.nodes.values()),
        "edges": list(graph.edges.values()),
    }
    return found, _problems(graph)


def _problems(graph: _Graph) -> list[Problem]:
    if not graph.renamed:
        return []
    detail = f"ids were escaped or cut in node ids, as {min(graph.renamed)[:200]!r}"
    return [Problem("invalid_text", detail, len(graph.renamed))]


def _add_connection(graph: _Graph, me: str, own: str, connection: pb.Connection) -> None:
    timeline, endpoints = connection.timeline, connection.endpoints
    number = graph.name(connection.id.hex())
    node = graph.node(
        f"libp2p_connection:{me}/{number}",
        "libp2p_connection",
        f"connection {number} with {safe_name(connection.peer_id)}",
        {
            "peer_id": connection.peer_id,
            "status": _name(_STATUSES, connection.status),
            "role": _name(_ROLES, connection.role),
            "transport_id": connection.transport_id.hex(),
            "src_multiaddr": endpoints.src_multiaddr,
            "dst_multiaddr": endpoints.dst_multiaddr,
            "open_ts": timeline.open_ts,
            "upgraded_ts": timeline.upgraded_ts,
            "close_ts": timeline.close_ts,
            "latency_ns": connection.latency_ns,
            "multiplexer": connection.attribs.multiplexer,
            "encryption": connection.attribs.encryption,
            "tags": list(connection.user_provided_tags),
            **_traffic(connection.traffic),
        },
    )
    peer = _add_peer(graph, me, connection.peer_id)
    if connection.peer_id:
        graph.edge(peer, "touches", f"libp2p_node:{safe_name(connection.peer_id)}")
    graph.edge(own if connection.role == pb.INITIATOR else peer, "spawned", node)
    graph.edge(node, "touches", own)
    graph.edge(node, "touches", peer)
    relay = connection.conn_id or connection.conn.id
    if relay:
        graph.edge(node, "touches", f"libp2p_connection:{me}/{safe_name(relay.hex())}")
    for stream in connection.streams.streams:
        _add_stream(graph, node, own if stream.role == pb.INITIATOR else peer, stream)


def _add_stream(graph: _Graph, connection: str, opener: str, stream: pb.Stream) -> None:
    node = graph.node(
        f"{connection.replace('connection', 'stream', 1)}/{graph.name(stream.id.hex())}",
        "libp2p_stream",
        safe_name(stream.protocol),
        {
            "protocol": stream.protocol,
            "status": _name(_STATUSES, stream.status),
            "role": _name(_ROLES, stream.role),
            "open_ts": stream.timeline.open_ts,
            "close_ts": stream.timeline.close_ts,
            "latency_ns": stream.latency_ns,
            "tags": list(stream.user_provided_tags),
            **_traffic(stream.traffic),
        },
    )
    graph.edge(opener, "spawned", node)
    graph.edge(node, "touches", connection)


def _add_dht(graph: _Graph, me: str, own: str, dht: pb.DHT) -> None:
    if not dht.ByteSize():
        return
    queries = {
        f"{direction}_{result}": getattr(gauge, result)
        for direction, gauge in (("in", dht.incoming_queries), ("out", dht.outgoing_queries))
        for result in ("success", "error", "timeout")
    }
    params = dht.params
    about = {
        "protocol": dht.protocol,
        "enabled": dht.enabled,
        "start_ts": dht.start_ts,
        "k": params.k,
        "alpha": params.alpha,
        "beta": params.beta,
        "disjoint_paths": params.disjoint_paths,
        "queries": _set(queries),
    }
    graph.nodes[own]["attrs"]["dht"] = _set(about)
    for bucket in dht.buckets:
        node = graph.node(
            f"dht_bucket:{me}/{bucket.cpl}",
            "dht_bucket",
            f"bucket {bucket.cpl}",
            {"cpl": bucket.cpl, "peers": len(bucket.peers)},
        )
        graph.edge(own, "touches", node)
        for entry in bucket.peers:
            peer = _add_peer(graph, me, entry.peer_id)
            status = _name(_DHT_STATUSES, entry.status)
            about = {"dht_status": status, "age_in_bucket": entry.age_in_bucket}
            graph.nodes[peer]["attrs"].update(_set(about))
            graph.edge(node, "touches", peer)


def _add_peer(graph: _Graph, me: str, peer_id: str) -> str:
    name = graph.name(peer_id)
    return graph.node(f"libp2p_peer:{me}/{name}", "libp2p_peer", name, {"peer_id": peer_id})


def _traffic(traffic: pb.Traffic) -> Attributes:
    taken, given = traffic.traffic_in, traffic.traffic_out
    return {
        "in_bytes": taken.cum_bytes,
        "in_packets": taken.cum_packets,
        "in_bytes_per_s": taken.inst_bw,
        "out_bytes": given.cum_bytes,
        "out_packets": given.cum_packets,
        "out_bytes_per_s": given.inst_bw,
    }


def _set(attributes: Attributes) -> Attributes:
    """Without what the node did not say: protobuf cannot tell 0 and empty from absent."""
    return {name: value for name, value in attributes.items() if value}


def _names(enum: Any) -> dict[int, str]:
    return {number: name.lower() for name, number in enum.items()}


_STATUSES, _ROLES, _DHT_STATUSES = map(_names, (pb.Status, pb.Role, pb.DHT.PeerInDHT.Status))


def _name(names: dict[int, str], number: int) -> str:
    """An enum's name; a number of a later revision as it is."""
    return names.get(number) or str(number)
