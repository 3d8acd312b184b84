"""What rows of the named queries amount to, where one process waits for another: silence, and
requests that do not end.

Decides which rows make a finding, how grave it is, its words and evidence. Refuses to know SQL:
rows come in.
"""

from collections.abc import Sequence

from . import answers, phrases
from .answer_shapes import RootInfo
from .finding import LASTING, Finding, Row, Severity, judged_confidence, line, make, number
from .snapshot_graph import SnapshotGraph

OLD_REQUEST_S = 5.0
"""A request between processes is old when both ends have not moved for so long."""


def unanswered(snapshot: SnapshotGraph, row: Row) -> Finding | None:
    count = row["edges_into_it"]
    waited = f" {phrases.count(count, 'wait leads', 'waits lead')} there." if count else ""
    why = f" ({row['error_text']})" if row["error_text"] else ""
    what = {"timeout": "did not answer in time", "disconnected": "disconnected while asked"}
    severity: Severity = "error"
    if row["status"] == "disconnected":  # most likely it just ended
        severity = "warning" if count else "info"
    return Finding(
        "unanswered",
        severity,
        "A process did not answer",
        f"{row['proc_key']} {what.get(row['status'], 'answered with an error')}{why}.{waited}",
        None,
        [],
        "unanswered",
        False,
        judged_confidence(False, LASTING),
        f"unanswered {row['proc_key']}",
    )


def _ends_soon(snapshot: SnapshotGraph, root: RootInfo) -> bool:
    left = snapshot.node(root.node.id).number("remaining_s")
    return root.kind == "running" or (left is not None and left < OLD_REQUEST_S)


def old_request(snapshot: SnapshotGraph, row: Row) -> Finding | None:
    """A request whose two ends wait at the same place since a snapshot long ago, or over whose
    connection nothing has gone for long. Whoever took the connection waits for the next request,
    and whom the other end has told something since waits for news."""
    quiet = row["quiet_s"] if isinstance(row["quiet_s"], (int, float)) else None
    asks = quiet is not None and not row["accepted"] and not row["received_last"]
    since = max(row["seconds"], quiet if asks else 0.0)
    if since < OLD_REQUEST_S or (quiet is not None and quiet < OLD_REQUEST_S):
        return None
    if snapshot.graph.index[row["caller_id"]] in snapshot.stuck:
        return None  # of those that are stuck the deadlock tells
    served = answers.explain(snapshot, row["server_id"])
    if served.root is not None and _ends_soon(snapshot, served.root):
        return None  # the next request may well be found at the same place
    return _does_not_end(
        snapshot,
        row["caller_id"],
        sentence=f"{line(snapshot, row['caller_id'])} has waited for at least"
        f" {since:.0f} s for {line(snapshot, row['server_id'])}.",
        evidence=[
            *([f"nothing has gone over their connection for {quiet:.0f} s"] if quiet else []),
            f"at the calling end: {line(snapshot, row['caller_id'])}",
            f"at the serving end: {served.sentence}",
        ],
        query="requests-between",
        key=f"old-request {row['caller_id']} {row['caller_location']}"
        f" {row['server_id']} {row['server_location']} {row['socket_id']}",
    )


def open_request(snapshot: SnapshotGraph, row: Row) -> Finding | None:
    """A request that tells its age, seen at both ends."""
    age = row["age_s"]
    if not isinstance(age, (int, float)) or age < OLD_REQUEST_S or row["response_id"] is None:
        return None
    server = row["server_id"] or row["response_id"]
    return _does_not_end(
        snapshot,
        row["id"],
        sentence=f"{line(snapshot, row['id'])} has been open for {number(age)} s;"
        f" {line(snapshot, server)} works on it.",
        evidence=[
            f"at the calling end: {line(snapshot, row['caller_id'] or row['id'])}",
            f"at the serving end: {answers.explain(snapshot, server).sentence}",
        ],
        query="oldest-requests",
    )


def _does_not_end(
    snapshot: SnapshotGraph,
    node_id: str,
    *,
    sentence: str,
    evidence: Sequence[str],
    query: str,
    key: str = "",
) -> Finding:
    return make(
        snapshot,
        node_id,
        kind="old-request",
        severity="warning",
        title="A request to another process does not end",
        sentence=sentence,
        evidence=evidence,
        query=query,
        lasts=LASTING,
        key=key,
    )
