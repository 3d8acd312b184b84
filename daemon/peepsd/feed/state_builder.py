"""What the daemon sees of its processes, as a State message.

Decides how a connected process looks as a libp2p Connection, how long one that left stays
visible, and the bandwidths. Refuses to know when States are made and who gets them. Keeps its
own record of peers, because one that disconnects leaves the registry with its counters.
"""

from collections import deque
from dataclasses import dataclass, field

from ..core.happenings import (
    Happening,
    ProcessConnected,
    ProcessDisconnected,
    ProcessIdentified,
)
from ..core.registry import Peer, Registry
from .multiaddr import multiaddr
from .pb import introspection_pb2 as pb
from .timing import SET_BACK_MS

MAX_CLOSED = 256
"""Connections that have ended and are still shown; older ones give way."""

SNAPSHOT_PROTOCOL = "/peeps/snapshot/1"


def id_bytes(number: int) -> bytes:
    """Our connection and snapshot numbers as the ids of connections and streams."""
    return number.to_bytes(8, "little")


@dataclass(slots=True)
class _Seen:
    """One connection as this builder knows it. Its message is kept and only what changed is
    written anew, because most of thousands of processes are quiet."""

    peer: Peer
    upgraded_ms: int = 0
    last_in: int = 0
    last_out: int = 0
    message: pb.Connection = field(default_factory=pb.Connection)
    shown_identity: tuple[object, ...] = ()
    shown_traffic: tuple[int, ...] = ()


class StateBuilder:
    """Makes States; needs to be told of happenings between them."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._open: dict[int, _Seen] = {}
        self._closed: deque[pb.Connection] = deque(maxlen=MAX_CLOSED)
        """Their messages alone: a peer that has left may hold much that nobody needs."""
        self._departed = pb.Traffic()
        """What those carried that are not open any more."""
        self._last_total = (0, 0)

    def note(self, happening: Happening) -> None:
        """Keep up with who comes, goes, and says its name."""
        match happening:
            case ProcessConnected(connection_id=connection_id):
                self._track(connection_id)
            case ProcessIdentified(connection_id=connection_id, at_ns=at_ns):
                seen = self._track(connection_id)
                if seen is not None and not seen.upgraded_ms:
                    seen.upgraded_ms = at_ns // 1_000_000
            case ProcessDisconnected(connection_id=connection_id, at_ns=at_ns):
                self._close(connection_id, at_ns // 1_000_000)
            case _:
                pass

    def build(
        self,
        *,
        instant_ms: int,
        retention_ms: int,
        elapsed_s: float,
    ) -> pb.State:
        """The State of this instant, without what it spans. `elapsed_s`: since the one before,
        for the bandwidths, on a clock that nobody sets."""
        self._catch_up(instant_ms)
        while self._closed and not (
            # later: it left before the clock was set back, and nobody knows how long ago
            instant_ms - retention_ms
            <= self._closed[0].timeline.close_ts
            <= instant_ms + SET_BACK_MS
        ):
            self._closed.popleft()
        state = pb.State(instant_ts=instant_ms)
        state.subsystems.connections.extend(self._closed)
        state.subsystems.connections.extend(
            _refresh(seen, instant_ms, elapsed_s) for seen in self._open.values()
        )
        self._add_total(state.traffic, elapsed_s)
        return state

    def _track(self, connection_id: int) -> _Seen | None:
        peer = self._registry.get(connection_id)
        if peer is None:
            return None
        return self._open.setdefault(connection_id, _Seen(peer))

    def _close(self, connection_id: int, now_ms: int) -> None:
        seen = self._open.pop(connection_id, None)
        if seen is None:
            return
        self._closed.append(_closed(seen, now_ms))
        _add_traffic(self._departed, seen.peer)

    def _catch_up(self, now_ms: int) -> None:
        """The registry is right about who is there, whatever was or was not published."""
        peers = self._registry.peers()
        present = {peer.connection_id for peer in peers}
        for connection_id in [c for c in self._open if c not in present]:
            self._close(connection_id, now_ms)
        for peer in peers:
            self._open.setdefault(peer.connection_id, _Seen(peer))

    def _add_total(self, traffic: pb.Traffic, elapsed_s: float) -> None:
        taken, given = traffic.traffic_in, traffic.traffic_out
        gone, peers = self._departed, [seen.peer for seen in self._open.values()]
        taken.cum_bytes = gone.traffic_in.cum_bytes + sum(p.bytes_in for p in peers)
        given.cum_bytes = gone.traffic_out.cum_bytes + sum(p.bytes_out for p in peers)
        taken.cum_packets = gone.traffic_in.cum_packets + sum(p.frames_in for p in peers)
        given.cum_packets = gone.traffic_out.cum_packets + sum(p.frames_out for p in peers)
        before = self._last_total
        self._last_total = taken.cum_bytes, given.cum_bytes
        taken.inst_bw = _rate(taken.cum_bytes - before[0], elapsed_s)
        given.inst_bw = _rate(given.cum_bytes - before[1], elapsed_s)


def _refresh(seen: _Seen, now_ms: int, elapsed_s: float) -> pb.Connection:
    """The connection's message, brought up to date."""
    peer, out = seen.peer, seen.message
    identity = (peer.proc_key, peer.process, peer.host, peer.agent, seen.upgraded_ms)
    if identity != seen.shown_identity:
        _write_identity(out, seen)
        seen.shown_identity = identity
    rates = (
        _rate(peer.bytes_in - seen.last_in, elapsed_s),
        _rate(peer.bytes_out - seen.last_out, elapsed_s),
    )
    traffic = (peer.bytes_in, peer.bytes_out, peer.frames_in, peer.frames_out, *rates)
    if traffic != seen.shown_traffic:
        out.traffic.Clear()
        _add_traffic(out.traffic, peer)
        out.traffic.traffic_in.inst_bw, out.traffic.traffic_out.inst_bw = rates
        seen.shown_traffic = traffic
    seen.last_in, seen.last_out = peer.bytes_in, peer.bytes_out
    if out.latency_ns != (peer.last_latency_ns or 0):
        out.latency_ns = peer.last_latency_ns or 0
    if out.HasField("streams"):
        out.ClearField("streams")
    if peer.in_flight:
        _add_streams(out, peer, now_ms)
    return out


def _closed(seen: _Seen, now_ms: int) -> pb.Connection:
    """The connection's last message."""
    out = _refresh(seen, now_ms, 1.0)
    out.status = pb.CLOSED
    out.timeline.close_ts = now_ms
    out.traffic.traffic_in.inst_bw = out.traffic.traffic_out.inst_bw = 0
    out.ClearField("streams")
    return out


def _write_identity(out: pb.Connection, seen: _Seen) -> None:
    peer = seen.peer
    out.id = id_bytes(peer.connection_id)
    out.peer_id = peer.proc_key
    out.status = pb.ACTIVE
    out.transport_id = b"tcp"
    out.role = pb.INITIATOR if peer.initiated_by_us else pb.RESPONDER
    ends = multiaddr(peer.remote_address), multiaddr(peer.local_address)
    source, target = reversed(ends) if peer.initiated_by_us else ends
    out.endpoints.src_multiaddr, out.endpoints.dst_multiaddr = source, target
    out.timeline.open_ts = peer.connected_at_ns // 1_000_000
    out.timeline.upgraded_ts = seen.upgraded_ms
    del out.user_provided_tags[:]
    out.user_provided_tags.extend(_tags(peer))


def _add_streams(out: pb.Connection, peer: Peer, now_ms: int) -> None:
    for snapshot_id, asked_ns in peer.in_flight.items():
        stream = out.streams.streams.add()
        stream.id = id_bytes(snapshot_id)
        stream.protocol = SNAPSHOT_PROTOCOL
        stream.role = pb.INITIATOR
        stream.status = pb.ACTIVE
        stream.conn.conn_id = out.id
        stream.timeline.open_ts = asked_ns // 1_000_000
        stream.latency_ns = max(now_ms * 1_000_000 - asked_ns, 0)


def _tags(peer: Peer) -> list[str]:
    named = {"process": peer.process, "host": peer.host, "agent": peer.agent}
    return [f"{key}={value}" for key, value in named.items() if value]


def _add_traffic(total: pb.Traffic, peer: Peer) -> None:
    total.traffic_in.cum_bytes += peer.bytes_in
    total.traffic_in.cum_packets += peer.frames_in
    total.traffic_out.cum_bytes += peer.bytes_out
    total.traffic_out.cum_packets += peer.frames_out


def _rate(count: int, elapsed_s: float) -> int:
    return round(count / elapsed_s) if count > 0 and elapsed_s > 0 else 0
