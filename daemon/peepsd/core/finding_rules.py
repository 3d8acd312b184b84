"""What rows of the named queries amount to: one function for each kind of finding.

Decides which rows make a finding, how grave it is, its words and evidence, and by what it is known
again in another snapshot. Refuses to know SQL: rows come in.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from . import answers, confidence, phrases, roots
from .answer_shapes import NodeInfo, RootInfo
from .answers import info
from .confidence import Circumstances, Confidence
from .snapshot_graph import SnapshotGraph

Severity = Literal["critical", "error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("critical", "error", "warning", "info")

Row = Mapping[str, Any]
"""A row of a named query, by column."""

MOVING_BY_ITSELF = frozenset({"running", "sleeping", "timeout"})
"""Roots that say: this will go on without help."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong."""

    kind: str
    severity: Severity
    title: str
    sentence: str
    subject: NodeInfo | None
    """The node to ask `why` about."""
    evidence: list[str]
    query: str
    """The named query that found it; its SQL is in `sql` of the check."""
    confirmed: bool
    confidence: Confidence
    key: str = field(default="", repr=False)
    """The same in two snapshots for the same thing."""


Interpret = Callable[[SnapshotGraph, Row], Finding | None]

OLD_REQUEST_S = 5.0
"""A request between processes is old when both ends have not moved for so long."""

LASTING = "lasting"
PASSING = "passing"


def judged_confidence(confirmed: bool, kind: str, inferred: Sequence[str] = ()) -> Confidence:
    """Passing states seen once say little; lasting ones are certain enough."""
    given = Circumstances(inferred=inferred, confirmed=confirmed if kind == PASSING else None)
    judged = confidence.judge(given)
    if kind == PASSING and not confirmed:
        reasons = (*judged.reasons, "such a state often passes within a moment")
        return Confidence("low", round(judged.score * 0.5, 2), reasons)
    return judged


def _make(
    snapshot: SnapshotGraph,
    node_id: str,
    *,
    kind: str,
    severity: Severity,
    title: str,
    sentence: str,
    evidence: Sequence[str] = (),
    query: str,
    lasts: str = PASSING,
    key: str = "",
) -> Finding:
    return Finding(
        kind,
        severity,
        title,
        sentence,
        info(snapshot, snapshot.node(node_id)),
        list(evidence),
        query,
        False,
        judged_confidence(False, lasts),
        key or f"{kind} {node_id}",
    )


def _number(value: object) -> str:
    """An attribute that should be a number, as text; processes may send anything."""
    return f"{value:.4g}" if isinstance(value, (int, float)) else "?"


def _root_kind(snapshot: SnapshotGraph, node_id: str) -> str:
    n = snapshot.graph.index.get(node_id)
    if n is not None:
        return answers.root_behind(snapshot, n).kind
    return roots.classify(snapshot.node(node_id), snapshot.missing.get(node_id)).kind


def _needs(snapshot: SnapshotGraph, node_id: str) -> list[str]:
    graph = snapshot.graph
    return [graph.ids[m] for n in snapshot.numbers(node_id) for m in graph.needs[n]]


def _needed_by(snapshot: SnapshotGraph, node_id: str) -> list[str]:
    graph = snapshot.graph
    return [graph.ids[m] for n in snapshot.numbers(node_id) for m in graph.needed_by[n]]


def _as_they_are(snapshot: SnapshotGraph, ids: Sequence[str]) -> list[str]:
    """Ids that differ between two snapshots if their task or thread ran in the meantime."""
    steps = {i: node.attrs.get("steps") for i, node in snapshot.nodes(ids).items()}
    return [i if steps[i] is None else f"{i}#{steps[i]}" for i in ids]


def _line(snapshot: SnapshotGraph, node_id: str) -> str:
    node = snapshot.node(node_id)
    return f"{phrases.title(node)} {phrases.whereabouts(node)}".rstrip()


def _lines(snapshot: SnapshotGraph, what: str, ids: Sequence[str], limit: int = 5) -> list[str]:
    shown = [f"{what} {_line(snapshot, i)}" for i in ids[:limit]]
    more = len(ids) - limit
    return [*shown, f"... and {more} more"] if more > 0 else shown


def _blocked_loop(snapshot: SnapshotGraph, row: Row) -> Finding | None:
    node = snapshot.node(row["id"])
    waiting = row["waiters"]
    since = f" for {_number(row['seconds'])} s" if row["seconds"] else ""
    held_up = (
        f", and {phrases.count(waiting, 'task')} of the same loop cannot run" if waiting else ""
    )
    return _make(
        snapshot,
        node.id,
        kind="blocked-loop",
        severity="error",
        title="An event loop is blocked",
        sentence=f"{_line(snapshot, node.id)} has not given its event loop back{since}{held_up}.",
        evidence=[f"innermost frame: {node.stack[-1]}"] if node.stack else [],
        query="blocked-loops",
        key=f"blocked-loop {node.id} {node.place}",
    )


def _unwoken_loop(snapshot: SnapshotGraph, row: Row) -> Finding | None:
    subject = row["task_id"] or row["id"]
    return _make(
        snapshot,
        subject,
        kind="unwoken-loop",
        severity="error",
        title="An event loop sleeps although a task could run",
        sentence=f"{_line(snapshot, subject)}: {roots.UNWOKEN.reason}.",
        evidence=_lines(snapshot, "waited for by", _needed_by(snapshot, subject)),
        query="unwoken-loops",
    )


def _exhausted_pool(snapshot: SnapshotGraph, row: Row) -> Finding | None:
    pool = row["id"]
    holders = _needs(snapshot, pool)
    if any(_root_kind(snapshot, holder) in MOVING_BY_ITSELF for holder in holders):
        return None  # somebody is about to give one back
    waiters = _needed_by(snapshot, pool)
    held = f"held by {phrases.count(len(holders), 'task')}" if holders else "held by nobody seen"
    return _make(
        snapshot,
        pool,
        kind="exhausted-pool",
        severity="error",
        title="A pool or semaphore is exhausted",
        sentence=f"{_line(snapshot, pool)} has nothing left, {held}, and"
        f" {phrases.count(len(waiters), 'waits', 'wait')} for it.",
        evidence=[
            *_lines(snapshot, "held by", holders),
            *_lines(snapshot, "waited for by", waiters),
        ],
        query="exhausted-pools",
        key=_same("exhausted-pool", pool, holders, waiters),
    )


def _full_queue(snapshot: SnapshotGraph, row: Row) -> Finding | None:
    queue = row["id"]
    waiters = _needed_by(snapshot, queue)
    users = _needs(snapshot, queue)
    capacity = row["capacity"]
    # A counter that stands still tells that nothing is taken out; without one, whoever moves in
    # that process may be the consumer.
    stands_still = row["unfinished"] is not None or not row["something_moves"]
    kind_of_queue = str(snapshot.node(queue).attrs.get("type"))
    if not stands_still or kind_of_queue.startswith("multiprocessing"):
        return None  # of the latter, whoever takes out is in another process
    full = f" ({_number(row['occupancy'])} of {_number(capacity)})" if capacity else ""
    return _make(
        snapshot,
        queue,
        kind="full-queue",
        severity="warning",
        title="A queue is full and its consumer is too slow, or gone",
        sentence=f"{_line(snapshot, queue)} is full{full};"
        f" {phrases.count(len(waiters), 'waits', 'wait')} to put something in.",
        evidence=[
            *(_lines(snapshot, "emptied by", users) or ["nobody who empties it can be seen"]),
            *_lines(snapshot, "waited for by", waiters),
        ],
        query="full-queues",
        key=_same("full-queue", queue, users, waiters, [str(row["unfinished"])]),
    )


def _unserved(snapshot: SnapshotGraph, row: Row) -> Finding | None:
    waiters = _needed_by(snapshot, row["id"])
    reason = roots.classify(snapshot.node(row["id"])).reason
    return _make(
        snapshot,
        row["id"],
        kind="unserved",
        severity="error",
        title="Something is waited for that nobody can provide",
        sentence=f"{phrases.count(len(waiters), 'waits', 'wait')} for {_line(snapshot, row['id'])}:"
        f" {reason}, and in its whole process nothing runs, sleeps or listens to anybody.",
        evidence=[
            *_lines(snapshot, "waited for by", waiters),
            "a signal handler could still do it",
        ],
        query="unserved",
        key=_same("unserved", row["id"], [], _as_they_are(snapshot, waiters)),
    )


def _open_scope(snapshot: SnapshotGraph, row: Row) -> Finding | None:
    n = snapshot.graph.index.get(row["parent_id"])
    if n is None or not snapshot.graph.needed_by[n]:
        return None  # nobody minds: the outermost scope of a program, or a server's
    return _make(
        snapshot,
        row["id"],
        kind="open-scope",
        severity="info",
        title="A task group cannot close because of one child",
        sentence=f"{_line(snapshot, row['parent_id'])} cannot leave"
        f" {phrases.title(snapshot.node(row['id']))}: {_line(snapshot, row['child_id'])} goes on.",
        evidence=[answers.explain(snapshot, row["child_id"]).sentence],
        query="open-scopes",
        key=_same("open-scope", row["id"], [row["child_id"]], []),
    )


def _shielded(snapshot: SnapshotGraph, row: Row) -> Finding | None:
    has_limit = isinstance(row["timeout_s"], (int, float))
    ends = f" A time limit ends that within {_number(row['timeout_s'])} s." if has_limit else ""
    return _make(
        snapshot,
        row["id"],
        kind="shielded-task",
        severity="info" if has_limit else "warning",
        title="A cancelled task waits on inside a shielded scope",
        sentence=f"{_line(snapshot, row['id'])} was cancelled, but waits where cancellation"
        f" does not reach.{ends}",
        evidence=[answers.explain(snapshot, row["id"]).sentence],
        query="shielded-tasks",
        key=_same("shielded-task", row["id"], _as_they_are(snapshot, [row["id"]])),
    )


def _unanswered(snapshot: SnapshotGraph, row: Row) -> Finding | None:
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


def _old_request(snapshot: SnapshotGraph, row: Row) -> Finding | None:
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
    return _make(
        snapshot,
        row["caller_id"],
        kind="old-request",
        severity="warning",
        title="A request to another process does not end",
        sentence=f"{_line(snapshot, row['caller_id'])} has waited for at least"
        f" {since:.0f} s for {_line(snapshot, row['server_id'])}.",
        evidence=[
            *([f"nothing has gone over their connection for {quiet:.0f} s"] if quiet else []),
            f"at the calling end: {_line(snapshot, row['caller_id'])}",
            f"at the serving end: {served.sentence}",
        ],
        query="requests-between",
        lasts=LASTING,
        key=f"old-request {row['caller_id']} {row['caller_location']}"
        f" {row['server_id']} {row['server_location']} {row['socket_id']}",
    )


def _open_request(snapshot: SnapshotGraph, row: Row) -> Finding | None:
    """A request that tells its age, seen at both ends."""
    age = row["age_s"]
    if not isinstance(age, (int, float)) or age < OLD_REQUEST_S or row["response_id"] is None:
        return None
    server = row["server_id"] or row["response_id"]
    return _make(
        snapshot,
        row["id"],
        kind="old-request",
        severity="warning",
        title="A request to another process does not end",
        sentence=f"{_line(snapshot, row['id'])} has been open for {_number(age)} s;"
        f" {_line(snapshot, server)} works on it.",
        evidence=[
            f"at the calling end: {_line(snapshot, row['caller_id'] or row['id'])}",
            f"at the serving end: {answers.explain(snapshot, server).sentence}",
        ],
        query="oldest-requests",
        lasts=LASTING,
    )


RULES: dict[str, Interpret] = {
    "unanswered": _unanswered,
    "blocked-loops": _blocked_loop,
    "unwoken-loops": _unwoken_loop,
    "exhausted-pools": _exhausted_pool,
    "unserved": _unserved,
    "full-queues": _full_queue,
    "oldest-requests": _open_request,
    "requests-between": _old_request,
    "shielded-tasks": _shielded,
    "open-scopes": _open_scope,
}
"""Name of the query whose rows it reads, to what it makes of one."""


def _same(kind: str, node_id: str, *groups: Sequence[str]) -> str:
    return " ".join([kind, node_id, *(",".join(sorted(group)) for group in groups)])
