"""Happenings as Events: their names, their typed properties, their content.

Decides what observers read of each happening. A sort of happening that this table does not know
is described from its fields the first time it is seen, and joins the catalogue (R20), so that
nothing that happens is kept from observers. Refuses to know who listens.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

import orjson

from ..core import happenings
from ..core.happenings import Happening
from .multiaddr import multiaddr
from .pb import introspection_pb2 as pb
from .state_builder import id_bytes

_Property = pb.EventType.EventProperty
_STRING, _NUMBER, _TIME = _Property.STRING, _Property.NUMBER, _Property.TIME
_PEER, _ADDRESS, _JSON = _Property.PEERID, _Property.MULTIADDR, _Property.JSON

Properties = dict[str, _Property.PropertyType]

_PEER_OF_SNAPSHOT: Properties = {
    "snapshot_id": _NUMBER,
    "proc_key": _PEER,
    "connection_id": _NUMBER,
}

_KNOWN: dict[type, tuple[str, Properties]] = {
    happenings.ProcessConnected: (
        "ProcessConnected",
        {"connection_id": _NUMBER, "address": _ADDRESS},
    ),
    happenings.ProcessIdentified: (
        "ProcessIdentified",
        {"connection_id": _NUMBER, "proc_key": _PEER, "process": _STRING, "pid": _NUMBER},
    ),
    happenings.ProcessDisconnected: (
        "ProcessDisconnected",
        {"connection_id": _NUMBER, "proc_key": _PEER, "reason": _STRING},
    ),
    happenings.SnapshotRequested: (
        "SnapshotRequested",
        {"snapshot_id": _NUMBER, "requested": _NUMBER, "timeout_ms": _NUMBER},
    ),
    happenings.ProcessReplied: (
        "ProcessReplied",
        _PEER_OF_SNAPSHOT
        | {"nodes": _NUMBER, "edges": _NUMBER, "reply_bytes": _NUMBER, "latency_ms": _NUMBER},
    ),
    happenings.ProcessTimedOut: ("ProcessTimedOut", _PEER_OF_SNAPSHOT),
    happenings.SnapshotCompleted: (
        "SnapshotCompleted",
        {
            "snapshot_id": _NUMBER,
            "elapsed_ms": _NUMBER,
            "responded": _NUMBER,
            "timed_out": _NUMBER,
            "disconnected": _NUMBER,
            "errors": _NUMBER,
        },
    ),
    happenings.IngestProblem: (
        "IngestEvent",
        {
            "event_kind": _STRING,
            "detail": _STRING,
            "snapshot_id": _NUMBER,
            "process": _STRING,
            "pid": _NUMBER,
            "proc_key": _PEER,
        },
    ),
    happenings.ConfigChanged: ("ConfigChanged", {"settings": _JSON}),
}

_OUTCOMES = {
    "responded": pb.Trace.RESPONDED,
    "timeout": pb.Trace.TIMEOUT,
    "disconnected": pb.Trace.DISCONNECTED,
    "error": pb.Trace.FAILED,
}


@dataclass(frozen=True, slots=True)
class EventKind:
    """One type of event."""

    type: pb.EventType
    properties: Properties


class Catalogue:
    """The event types that observers have been told of."""

    def __init__(self) -> None:
        self._kinds = {sort: _kind(name, properties) for sort, (name, properties) in _KNOWN.items()}

    def types(self) -> list[pb.EventType]:
        """All of them, for the Runtime."""
        return [kind.type for kind in self._kinds.values()]

    def admit(self, happening: Happening) -> bool:
        """Make sure the type of this happening is known; True if that is news."""
        if type(happening) in self._kinds:
            return False
        self._kinds[type(happening)] = _described(happening)
        return True

    def event(self, happening: Happening) -> pb.Event:
        """The happening as an Event; its type must have been admitted."""
        kind = self._kinds[type(happening)]
        content = {name: _value(happening, name, sort) for name, sort in kind.properties.items()}
        return pb.Event(
            type=kind.type,
            ts=happening.at_ns // 1_000_000,
            content=orjson.dumps(
                {name: value for name, value in content.items() if value is not None},
                default=_plain,
                option=orjson.OPT_NON_STR_KEYS,
            ).decode(),
        )


def trace_of(completed: happenings.SnapshotCompleted) -> pb.Trace:
    """Where the time of one snapshot went, process by process."""
    trace = pb.Trace(
        snapshot_id=completed.snapshot_id,
        completed_ns=completed.at_ns,
        elapsed_ms=completed.elapsed_ms,
    )
    for span in completed.spans:
        trace.spans.add(
            peer_id=span.proc_key,
            conn_id=id_bytes(span.connection_id),
            outcome=_OUTCOMES.get(span.status, pb.Trace.UNKNOWN),
            queued_ns=span.queued_at_ns,
            sent_ns=span.sent_at_ns or 0,
            received_ns=span.received_at_ns or 0,
            decoded_ns=span.decoded_at_ns or 0,
            stored_ns=span.stored_at_ns or 0,
            reply_bytes=span.reply_bytes,
        )
    return trace


def _kind(name: str, properties: Properties) -> EventKind:
    described = pb.EventType(name=name)
    for property_name, sort in properties.items():
        described.property_types.add(name=property_name, type=sort)
    return EventKind(described, properties)


def _described(happening: Happening) -> EventKind:
    properties = {
        field.name: _sort_of(field.name, getattr(happening, field.name))
        for field in dataclasses.fields(happening)
        if field.name != "at_ns"
    }
    return _kind(type(happening).__name__, properties)


def _sort_of(name: str, value: Any) -> _Property.PropertyType:
    if name == "proc_key":
        return _PEER
    if isinstance(value, bool):
        return _JSON
    if isinstance(value, int | float):
        return _TIME if name.endswith("_at_ns") else _NUMBER
    return _STRING if isinstance(value, str) else _JSON


def _value(happening: Happening, name: str, sort: _Property.PropertyType) -> Any:
    value = getattr(happening, name)
    if value is None:
        return None
    if sort == _ADDRESS:
        return multiaddr(value)
    if sort == _TIME:
        return value // 1_000_000
    return value


def _plain(value: Any) -> Any:
    """What orjson cannot write by itself: other mappings as objects, the rest as text."""
    try:
        return dict(value)
    except (TypeError, ValueError):
        return str(value)
