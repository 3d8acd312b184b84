import dataclasses
import json
from dataclasses import dataclass
from typing import Any, get_args

import pytest

from peepsd.core import happenings as h
from peepsd.feed.events import Catalogue, trace_of
from peepsd.feed.pb import introspection_pb2 as pb

AT = 1_700_000_000_123_456_789

EXAMPLES: dict[h.Happening, dict[str, Any]] = {
    h.ProcessConnected(AT, 7, "127.0.0.1:50000"): {
        "connection_id": 7,
        "address": "/ip4/127.0.0.1/tcp/50000",
    },
    h.ProcessIdentified(AT, 7, "svc-10", "svc", 10): {
        "connection_id": 7,
        "proc_key": "svc-10",
        "process": "svc",
        "pid": 10,
    },
    h.ProcessIdentified(AT, 7, "svc-conn7", "svc", None): {
        "connection_id": 7,
        "proc_key": "svc-conn7",
        "process": "svc",
    },
    h.ProcessDisconnected(AT, 7, "svc-10", "it closed"): {
        "connection_id": 7,
        "proc_key": "svc-10",
        "reason": "it closed",
    },
    h.SnapshotRequested(AT, 3, 2, 5_000): {"snapshot_id": 3, "requested": 2, "timeout_ms": 5_000},
    h.ProcessReplied(AT, 3, "svc-10", 7, 11, 12, 1_300, 4.5): {
        "snapshot_id": 3,
        "proc_key": "svc-10",
        "connection_id": 7,
        "nodes": 11,
        "edges": 12,
        "reply_bytes": 1_300,
        "latency_ms": 4.5,
    },
    h.ProcessTimedOut(AT, 3, "svc-10", 7): {
        "snapshot_id": 3,
        "proc_key": "svc-10",
        "connection_id": 7,
    },
    h.SnapshotCompleted(AT, 3, 9.5, 1, 2, 3, 4): {
        "snapshot_id": 3,
        "elapsed_ms": 9.5,
        "responded": 1,
        "timed_out": 2,
        "disconnected": 3,
        "errors": 4,
    },
    h.IngestProblem(AT, "decode_error", "not JSON", 3, "svc", 10, "svc-10"): {
        "event_kind": "decode_error",
        "detail": "not JSON",
        "snapshot_id": 3,
        "process": "svc",
        "pid": 10,
        "proc_key": "svc-10",
    },
}

Property = pb.EventType.EventProperty
_PYTHON = {
    Property.STRING: str,
    Property.PEERID: str,
    Property.MULTIADDR: str,
    Property.NUMBER: int | float,
    Property.TIME: int,
    Property.JSON: object,
}


def matches_type(event: pb.Event) -> bool:
    """R27: every member of the content is a property of the type, with a fitting value."""
    sorts = {p.name: p.type for p in event.type.property_types}
    content = json.loads(event.content)
    return isinstance(content, dict) and all(
        isinstance(value, _PYTHON[sorts[name]]) for name, value in content.items()
    )


@pytest.mark.parametrize(("happening", "content"), EXAMPLES.items(), ids=lambda x: type(x).__name__)
def test_content_and_types_of_each_event(happening: h.Happening, content: dict[str, Any]) -> None:
    event = Catalogue().event(happening)
    assert json.loads(event.content) == content
    assert event.ts == 1_700_000_000_123
    assert matches_type(event)


def test_config_changed_carries_the_settings() -> None:
    event = Catalogue().event(h.ConfigChanged(AT, {"send_state_interval_ms": 500}))
    assert json.loads(event.content) == {"settings": {"send_state_interval_ms": 500}}


def test_the_catalogue_knows_every_sort_of_happening_with_all_that_it_tells() -> None:
    types = {t.name: {p.name for p in t.property_types} for t in Catalogue().types()}
    assert set(types) == {
        "ProcessConnected",
        "ProcessIdentified",
        "ProcessDisconnected",
        "SnapshotRequested",
        "ProcessReplied",
        "ProcessTimedOut",
        "SnapshotCompleted",
        "IngestEvent",
        "ConfigChanged",
    }
    for sort in get_args(h.Happening):
        name = "IngestEvent" if sort is h.IngestProblem else sort.__name__
        fields = {f.name for f in dataclasses.fields(sort)} - {"at_ns", "spans", "stranger"}
        assert types[name] == fields
        assert not Catalogue().admit(sort.__new__(sort))


@dataclass(frozen=True)
class ClockJumped:
    at_ns: int
    proc_key: str
    seconds: float
    seen_at_ns: int
    why: str
    extra: dict[int, str]


def test_r20_a_new_sort_of_event_joins_the_catalogue_once() -> None:
    catalogue = Catalogue()
    happening: Any = ClockJumped(AT, "svc-1", 1.5, AT, "ntp", {1: "a"})
    assert catalogue.admit(happening)
    assert not catalogue.admit(happening)
    added = catalogue.types()[-1]
    assert added.name == "ClockJumped"
    assert {p.name: p.type for p in added.property_types} == {
        "proc_key": Property.PEERID,
        "seconds": Property.NUMBER,
        "seen_at_ns": Property.TIME,
        "why": Property.STRING,
        "extra": Property.JSON,
    }
    event = catalogue.event(happening)
    assert matches_type(event)
    assert json.loads(event.content)["seen_at_ns"] == 1_700_000_000_123


def test_a_trace_tells_how_far_each_process_got() -> None:
    spans = (
        h.Span("a-1", 1, "responded", 10, 20, 30, 40, 50, 1_000),
        h.Span("b-2", 2, "timeout", 10, 20),
        h.Span("c-3", 3, "disconnected", 10),
        h.Span("d-4", 4, "error", 10, 20, 30),
        h.Span("e-5", 5, "something new", 10),
    )
    trace = trace_of(h.SnapshotCompleted(AT, 9, 12.5, 1, 1, 1, 2, spans))
    assert (trace.snapshot_id, trace.completed_ns, trace.elapsed_ms) == (9, AT, 12.5)
    first = trace.spans[0]
    assert first.peer_id == "a-1"
    assert first.conn_id == (1).to_bytes(8, "little")
    stages = (
        first.queued_ns,
        first.sent_ns,
        first.received_ns,
        first.decoded_ns,
        first.stored_ns,
    )
    assert stages == (10, 20, 30, 40, 50)
    assert first.reply_bytes == 1_000
    assert [span.outcome for span in trace.spans] == [
        pb.Trace.RESPONDED,
        pb.Trace.TIMEOUT,
        pb.Trace.DISCONNECTED,
        pb.Trace.FAILED,
        pb.Trace.UNKNOWN,
    ]
    assert trace.spans[2].sent_ns == 0
