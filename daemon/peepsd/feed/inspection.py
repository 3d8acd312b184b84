"""What is in a recording, in figures. Pure: messages in, figures out.

Decides what counts as a gap (R24) and what the time span is. Refuses to know files.
"""

from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from google.protobuf.message import DecodeError

from .pb import introspection_pb2 as pb
from .recording import Damage, Record
from .timing import StateTimes, gap_before, set_back_before, state_times

_MAX_ID_BYTES = 64


@dataclass(slots=True)
class Gap:
    """A time of which no State tells."""

    before_instant_ts: int
    missing_ms: int


@dataclass(slots=True)
class SetBack:
    """The recorded server's clock went back."""

    before_instant_ts: int
    by_ms: int
    """At least."""


@dataclass(slots=True)
class Inspection:
    """Figures of one recording, brought up to date by `add`."""

    records: Counter[str] = field(default_factory=Counter)
    """By kind: runtime, state, event, response, notice, trace, empty, undecodable."""
    damage: list[Damage] = field(default_factory=list)
    message_bytes: tuple[int, int] = (0, 0)
    """Shortest and longest."""
    total_bytes: int = 0
    runtime: pb.Runtime | None = None
    config: pb.Configuration | None = None
    event_types: Counter[str] = field(default_factory=Counter)
    event_ts: tuple[int, int] = (0, 0)
    events_out_of_order: int = 0
    instant_ts: tuple[int, int] = (0, 0)
    gaps: list[Gap] = field(default_factory=list)
    set_back: list[SetBack] = field(default_factory=list)
    connection_rows: int = 0
    stream_rows: int = 0
    connection_ids: set[bytes] = field(default_factory=set)
    stream_ids: set[tuple[bytes, bytes]] = field(default_factory=set)
    connections_first_last: tuple[int, int] = (0, 0)
    peers: Counter[str] = field(default_factory=Counter)
    """States in which each peer is connected."""
    traffic: pb.Traffic | None = None
    """Of the last State."""
    dht_buckets_peers: tuple[int, int] = (0, 0)
    discarded: Counter[str] = field(default_factory=Counter)
    spans: int = 0
    _last_event_ts: int = 0
    _last_times: StateTimes | None = None

    def add(self, item: Record | Damage) -> None:
        """Count one record, or one damaged stretch."""
        if isinstance(item, Damage):
            self.damage.append(item)
            return
        self._count_bytes(len(item.message))
        try:
            message = pb.ServerMessage.FromString(item.message)
        except DecodeError:
            self.records["undecodable"] += 1
            return
        kind = message.WhichOneof("payload") or "empty"
        self.records[kind] += 1
        match kind:
            case "runtime":
                self.runtime = message.runtime
            case "response" if message.response.HasField("effective_config"):
                self.config = message.response.effective_config
            case "state":
                self._add_state(message.state)
            case "event":
                self._add_event(message.event)
            case "notice":
                self.discarded["events"] += message.notice.discarded_events
                self.discarded["states"] += message.notice.discarded_states
                self.discarded["traces"] += message.notice.discarded_traces
            case "trace":
                self.spans += len(message.trace.spans)

    @property
    def interval_ms(self) -> int:
        """Between States, as the server told it; 0: it did not."""
        told = self.config.state_snapshot_interval_ms if self.config else 0
        return told or (self.runtime.send_state_interval_ms if self.runtime else 0)

    @property
    def retention_ms(self) -> int:
        """As the server told it; 0: it did not."""
        told = self.config.retention_period_ms if self.config else 0
        return told or (self.runtime.retention_period_ms if self.runtime else 0)

    @property
    def span_ms(self) -> tuple[int, int]:
        """From the first to the last moment of which anything tells; (0, 0): nothing does."""
        moments = [t for t in (*self.instant_ts, *self.event_ts) if t]
        return (min(moments), max(moments)) if moments else (0, 0)

    def to_dict(self) -> dict[str, Any]:
        """For programs."""
        runtime, traffic = self.runtime, self.traffic
        return {
            "records": dict(self.records),
            "total_records": self.records.total(),
            "message_bytes": {"min": self.message_bytes[0], "max": self.message_bytes[1]},
            "total_bytes": self.total_bytes,
            "damage": [
                {"offset": d.offset, "bytes": d.length, "reason": d.reason} for d in self.damage
            ],
            "runtime": runtime
            and {
                "implementation": runtime.implementation,
                "version": runtime.version,
                "platform": runtime.platform,
                "peer_id": runtime.peer_id,
            },
            "settings": {"interval_ms": self.interval_ms, "retention_ms": self.retention_ms},
            "from_ms": self.span_ms[0],
            "to_ms": self.span_ms[1],
            "gaps": [
                {"before_instant_ts": g.before_instant_ts, "missing_ms": g.missing_ms}
                for g in self.gaps
            ],
            "clock_set_back": [
                {"before_instant_ts": s.before_instant_ts, "by_ms": s.by_ms} for s in self.set_back
            ],
            "connections": {
                "rows": self.connection_rows,
                "unique": len(self.connection_ids),
                "first": self.connections_first_last[0],
                "last": self.connections_first_last[1],
            },
            "peers": dict(self.peers),
            "streams": {"rows": self.stream_rows, "unique": len(self.stream_ids)},
            "traffic": traffic
            and {
                "bytes_in": traffic.traffic_in.cum_bytes,
                "bytes_out": traffic.traffic_out.cum_bytes,
            },
            "dht": {"buckets": self.dht_buckets_peers[0], "peers": self.dht_buckets_peers[1]},
            "events": dict(self.event_types),
            "events_out_of_order": self.events_out_of_order,
            "discarded": dict(self.discarded),
            "spans": self.spans,
        }

    def _count_bytes(self, length: int) -> None:
        low, high = self.message_bytes
        self.message_bytes = (min(low, length) if self.total_bytes else length, max(high, length))
        self.total_bytes += length

    def _add_state(self, state: pb.State) -> None:
        connections = state.subsystems.connections
        self.connection_rows += len(connections)
        for connection in connections:
            connection_id = _short(connection.id)
            self.connection_ids.add(connection_id)
            self.peers[connection.peer_id] += 1
            self.stream_rows += len(connection.streams.streams)
            self.stream_ids.update(
                (connection_id, _short(stream.id)) for stream in connection.streams.streams
            )
        is_first = self._last_times is None
        first = len(connections) if is_first else self.connections_first_last[0]
        self.connections_first_last = (first, len(connections))
        self.instant_ts = _widened(self.instant_ts, state.instant_ts)
        times = state_times(state)
        if self._last_times is not None:
            if gap := gap_before(times, self._last_times):
                self.gaps.append(Gap(state.instant_ts, gap))
            if by_ms := set_back_before(times, self._last_times):
                self.set_back.append(SetBack(state.instant_ts, by_ms))
        self._last_times = times
        self.traffic = state.traffic
        buckets = state.subsystems.dht.buckets
        self.dht_buckets_peers = (len(buckets), sum(len(bucket.peers) for bucket in buckets))

    def _add_event(self, event: pb.Event) -> None:
        self.event_types[event.type.name] += 1
        self.events_out_of_order += event.ts < self._last_event_ts
        self._last_event_ts = event.ts
        self.event_ts = _widened(self.event_ts, event.ts)


def _short(id_: bytes) -> bytes:
    """The id, or what stands for an absurdly long one: it is compared once for each stream."""
    return id_ if len(id_) <= _MAX_ID_BYTES else sha256(id_).digest()


def _widened(span: tuple[int, int], at: int) -> tuple[int, int]:
    return (min(span[0], at) if span[0] else at, max(span[1], at))
