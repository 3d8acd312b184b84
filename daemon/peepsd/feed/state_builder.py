"""What the daemon sees of its processes, as a State message.

Decides how a connected process looks as a libp2p Connection, how long one that left stays
visible, and the bandwidths. Refuses to know when States are made and who gets them. Keeps its
own record of peers, because one that disconnects leaves the registry with its counters.
"""

from collections import deque
from dataclasses import dataclass

from ..core.happenings import (
    Happening,
    ProcessConnected,
    ProcessDisconnected,
    ProcessIdentified,
)
from ..core.registry import Peer, Registry
from .multiaddr import multiaddr
from .pb import introspection_pb2 as pb

MAX_CLOSED = 256
"""Connections that have ended and are still shown; older ones give way."""

SNAPSHOT_PROTOCOL = "/peeps/snapshot/1"


def id_bytes(number: int) -> bytes:
    """Our connection and snapshot numbers as the ids of connections and streams."""
    return number.to_bytes(8, "little")


@dataclass(slots=True)
class _Seen:
    """One connection as this builder knows it."""

    peer: Peer
    upgraded_ms: int = 0
    closed_ms: int = 0
    last_in: int = 0
    last_out: int = 0


class StateBuilder:
    """Makes States; needs to be told of happenings between them."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._open: dict[int, _Seen] = {}
        self._closed: deque[_Seen] = deque(maxlen=MAX_CLOSED)
        self._departed = pb.Traffic()
        """What those carried that are not open any more."""
        self._last_total = (0, 0)
        self._built_ms: int | None = None

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
        self, *, instant_ms: int, start_ms: int, interval_ms: int, retention_ms: int
    ) -> pb.State:
        """The State of this instant."""
        self._catch_up(instant_ms)
        while self._closed and self._closed[0].closed_ms < instant_ms - retention_ms:
            self._closed.popleft()
        elapsed_s = self._elapsed_s(instant_ms, interval_ms)
        state = pb.State(instant_ts=instant_ms, start_ts=start_ms, snapshot_duration_ms=interval_ms)
        for seen in (*self._closed, *self._open.values()):
            self._add_connection(state.subsystems.connections.add(), seen, instant_ms, elapsed_s)
        self._add_total(state.traffic, elapsed_s)
        self._built_ms = instant_ms
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
        seen.closed_ms = now_ms
        self._closed.append(seen)
        _add_traffic(self._departed, seen.peer)

    def _catch_up(self, now_ms: int) -> None:
        """The registry is right about who is there, whatever was or was not published."""
        peers = self._registry.peers()
        present = {peer.connection_id for peer in peers}
        for connection_id in [c for c in self._open if c not in present]:
            self._close(connection_id, now_ms)
        for peer in peers:
            self._open.setdefault(peer.connection_id, _Seen(peer))

    def _elapsed_s(self, now_ms: int, interval_ms: int) -> float:
        if self._built_ms is None or now_ms <= self._built_ms:
            return interval_ms / 1000
        return (now_ms - self._built_ms) / 1000

    def _add_total(self, traffic: pb.Traffic, elapsed_s: float) -> None:
        traffic.CopyFrom(self._departed)
        for seen in self._open.values():
            _add_traffic(traffic, seen.peer)
        total = (traffic.traffic_in.cum_bytes, traffic.traffic_out.cum_bytes)
        traffic.traffic_in.inst_bw = _rate(total[0] - self._last_total[0], elapsed_s)
        traffic.traffic_out.inst_bw = _rate(total[1] - self._last_total[1], elapsed_s)
        self._last_total = total

    def _add_connection(
        self, out: pb.Connection, seen: _Seen, now_ms: int, elapsed_s: float
    ) -> None:
        peer = seen.peer
        out.id = id_bytes(peer.connection_id)
        out.peer_id = peer.proc_key
        out.status = pb.CLOSED if seen.closed_ms else pb.ACTIVE
        out.transport_id = b"tcp"
        out.role = pb.INITIATOR if peer.initiated_by_us else pb.RESPONDER
        ends = multiaddr(peer.remote_address), multiaddr(peer.local_address)
        source, target = reversed(ends) if peer.initiated_by_us else ends
        out.endpoints.src_multiaddr, out.endpoints.dst_multiaddr = source, target
        out.timeline.open_ts = peer.connected_at_ns // 1_000_000
        out.timeline.upgraded_ts = seen.upgraded_ms
        out.timeline.close_ts = seen.closed_ms
        _add_traffic(out.traffic, peer)
        if not seen.closed_ms:
            out.traffic.traffic_in.inst_bw = _rate(peer.bytes_in - seen.last_in, elapsed_s)
            out.traffic.traffic_out.inst_bw = _rate(peer.bytes_out - seen.last_out, elapsed_s)
        seen.last_in, seen.last_out = peer.bytes_in, peer.bytes_out
        out.latency_ns = peer.last_latency_ns or 0
        out.user_provided_tags.extend(_tags(peer))
        if not seen.closed_ms:
            _add_streams(out, peer, now_ms)


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
    return max(round(count / elapsed_s), 0)
