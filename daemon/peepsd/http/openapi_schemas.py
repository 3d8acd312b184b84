"""The shapes of what the API sends, as JSON Schema.

Decides the shapes that handlers make by hand; those of answers are read off their dataclasses, so
that they cannot differ. Refuses to know paths.
"""

from typing import Any

import msgspec

from ..core.answer_shapes import Blockers, Deadlocks, Why
from ..core.diff import Diff, Stuck
from ..core.findings import Check
from ..core.tree import Tree

Schema = dict[str, Any]

REF = "#/components/schemas/{name}"

ANSWERS = (Why, Deadlocks, Blockers, Check, Tree, Diff, Stuck)


def ref(name: str) -> Schema:
    """A schema by name."""
    return {"$ref": REF.format(name=name)}


def an_object(required: dict[str, Schema], **optional: Schema) -> Schema:
    """A JSON object. Fields may be added in later versions, so others are allowed."""
    return {
        "type": "object",
        "properties": required | optional,
        "required": list(required),
    }


def array(items: Schema) -> Schema:
    """A JSON array."""
    return {"type": "array", "items": items}


def or_null(schema: Schema) -> Schema:
    """That, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


TEXT: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
BOOLEAN: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer", "minimum": 0}
ID: Schema = {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}
NS: Schema = {"type": "integer", "description": "Unix nanoseconds"}
STATUS: Schema = {"enum": ["responded", "timeout", "disconnected", "error"]}

_PARTICIPANT = {
    "proc_key": TEXT,
    "process": TEXT,
    "pid": or_null(INTEGER),
    "status": STATUS,
    "error_text": or_null(TEXT),
    "nodes": COUNT,
    "edges": COUNT,
}

_COUNTS = (
    "requested", "responded", "timed_out", "disconnected", "errors", "nodes", "edges",
)  # fmt: skip

_SNAPSHOT = {
    "snapshot_id": ID,
    "requested_at_ns": NS,
    "completed_at_ns": or_null(NS),
    "timeout_ms": COUNT,
    "skew_ms": or_null(NUMBER),
    "interrupted": or_null(TEXT),
    **dict.fromkeys(_COUNTS, COUNT),
}

_EDGE = an_object({"src": TEXT, "dst": TEXT, "kind": TEXT, "attrs": {"type": "object"}})

_WAIT = {
    "waiter_id": TEXT,
    "waiter_kind": or_null(TEXT),
    "waiter": TEXT,
    "waiter_process": or_null(TEXT),
    "waiter_state": {},
    "waiter_location": {},
    "needs_id": TEXT,
    "needs_kind": or_null(TEXT),
    "needs": {},
    "needs_process": or_null(TEXT),
    "needs_state": {},
    "needs_location": {},
    "inferred": {},
    "missing_reason": or_null(TEXT),
}

_CELL: Schema = {
    "description": "null, a number, a string, {'$blob': base64} or {'$real': 'inf' | '-inf'}"
}

_CONNECTION = {
    "connection_id": ID,
    "proc_key": TEXT,
    "process": TEXT,
    "pid": or_null(INTEGER),
    "host": or_null(TEXT),
    "agent": or_null(TEXT),
    "address": TEXT,
    "connected_at_ns": NS,
    "connected_s": NUMBER,
    "identified": BOOLEAN,
    "missed_in_a_row": COUNT,
    "last_latency_ms": or_null(NUMBER),
    "in_flight": array(ID),
    "bytes_in": COUNT,
    "bytes_out": COUNT,
}

_EVENT = {
    "event_id": ID,
    "event_kind": TEXT,
    "event_at_ns": NS,
    "last_at_ns": or_null(NS),
    "count": COUNT,
    "snapshot_id": or_null(ID),
    "process": or_null(TEXT),
    "pid": or_null(INTEGER),
    "proc_key": or_null(TEXT),
    "detail": TEXT,
}

BY_HAND: dict[str, Schema] = {
    "Error": an_object({"error": TEXT}, hint=TEXT),
    "Index": an_object({"name": TEXT, "routes": array(TEXT)}),
    "Summary": an_object(
        {
            "snapshot_id": ID,
            "requested": COUNT,
            "responded": COUNT,
            "timed_out": COUNT,
            "disconnected": COUNT,
            "errors": COUNT,
            "elapsed_ms": NUMBER,
            "processes": array(an_object(_PARTICIPANT)),
        },
        skew_ms=or_null(NUMBER),
        unresolved_edges=COUNT,
    ),
    "Rows": an_object(
        {
            "snapshot_id": ID,
            "columns": array(TEXT),
            "rows": array(array(_CELL)),
            "row_count": COUNT,
            "truncated": {"enum": [None, "rows", "bytes", "time"]},
        }
    ),
    "Connections": an_object({"count": COUNT, "connections": array(an_object(_CONNECTION))}),
    "Events": an_object({"events": array(an_object(_EVENT))}),
    "Snapshots": an_object({"snapshots": array(an_object(_SNAPSHOT))}),
    "Snapshot": an_object(
        _SNAPSHOT
        | {
            "processes": array(an_object(_PARTICIPANT)),
            "nodes_by_kind": {"type": "object", "additionalProperties": COUNT},
            "edges_by_kind": {"type": "object", "additionalProperties": COUNT},
            "unresolved_edges": COUNT,
        }
    ),
    "Health": an_object(
        {
            "status": {"const": "ok"},
            "version": TEXT,
            "connections": COUNT,
            "last_snapshot_id": or_null(ID),
            "uptime_s": NUMBER,
        }
    ),
    "Waits": an_object({"snapshot_id": ID, "waits": array(an_object(_WAIT))}),
    "NodeDetails": an_object(
        {
            "snapshot_id": ID,
            "node": ref("NodeInfo"),
            "attrs": {"type": "object"},
            "stack": array(TEXT),
            "edges": array(_EDGE),
            "names": {"type": "object", "additionalProperties": ref("NodeInfo")},
        }
    ),
}


def components() -> dict[str, Schema]:
    """Every schema by name."""
    _, found = msgspec.json.schema_components(ANSWERS, ref_template=REF)
    return {**found, **BY_HAND}
