"""Requests and responses under way, as the integrations have noted them.

    task -> request:TRACE-SPAN -> response:TRACE-SPAN     drawn by the caller's process
    response:TRACE-SPAN -> the task that works on it      drawn by the callee's process

Decides the ids by which both ends meet: the traceparent that travelled. Refuses to know headers.
"""

import time
from typing import Any, NamedTuple

from ..cut import Cut, Seen
from ..graph import Graph, Ref
from ..integrations import calls


def collector() -> "Requests":
    return Requests()


class CallRow(NamedTuple):
    """A call as the cut saw it."""

    kind: str
    method: str
    path: str
    status: int | None
    trace_id: str
    span_id: str
    age_s: float
    who: Ref | None


class Requests:
    """The Collector of calls."""

    name = "requests"

    def applies(self) -> bool:
        return True

    def prepare(self, cut: Cut) -> None:
        pass

    def capture(self, cut: Cut) -> list[CallRow]:
        now = time.monotonic()
        rows = []
        for call in calls.current_calls():
            path = call.path if isinstance(call.path, str) else call.path()
            rows.append(
                CallRow(
                    call.kind,
                    call.method,
                    path,
                    call.status,
                    call.parent.trace_id,
                    call.parent.span_id,
                    now - call.started,
                    call.who,
                )
            )
        return rows

    def build(self, captured: list[CallRow], graph: Graph, seen: Seen) -> None:
        for row in captured:
            key = f"{row.trace_id}-{row.span_id}"
            node = graph.node_by_id(f"{row.kind}:{key}", row.kind, *_described(row))
            who = None if row.who is None else graph.ref(row.who)
            if row.kind == calls.REQUEST:
                graph.edge(node, f"{calls.RESPONSE}:{key}", "needs")
                if who is not None:
                    graph.edge(who, node, "needs", op="call")
            elif who is not None:
                graph.edge(node, who, "needs", relation="worked on by")


def _described(row: CallRow) -> tuple[str, dict[str, Any]]:
    attrs = {
        "method": row.method,
        "path": row.path,
        "status": row.status,
        "age_s": round(row.age_s, 3),
        "trace_id": row.trace_id,
        "span_id": row.span_id,
    }
    return f"{row.method} {row.path}", attrs
