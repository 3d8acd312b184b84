"""What rows of the named queries amount to, where one process alone is concerned: its loops, pools,
queues, scopes.

Decides which rows make a finding, how grave it is, its words and evidence. Refuses to know SQL:
rows come in.
"""

from . import answers, phrases, request_rules, roots
from .finding import (
    Finding,
    Interpret,
    Row,
    as_they_are,
    line,
    lines,
    make,
    needed_by,
    needs,
    number,
    same,
)
from .nodes import Node
from .snapshot_graph import SnapshotGraph

MOVING_BY_ITSELF = frozenset({"running", "sleeping", "timeout"})
"""Roots that say: this will go on without help."""


def _blocked_loop(snapshot: SnapshotGraph, row: Row) -> Finding | None:
    node = snapshot.node(row["id"])
    waiting = row["waiters"]
    since = f" for {number(row['seconds'])} s" if row["seconds"] else ""
    held_up = (
        f", and {phrases.count(waiting, 'task')} of the same loop cannot run" if waiting else ""
    )
    return make(
        snapshot,
        node.id,
        kind="blocked-loop",
        severity="error",
        title="An event loop is blocked",
        sentence=f"{line(snapshot, node.id)} has not given its event loop back{since}{held_up}.",
        evidence=[f"innermost frame: {node.stack[-1]}"] if node.stack else [],
        query="blocked-loops",
        key=f"blocked-loop {node.id} {node.place}",
    )


def _unwoken_loop(snapshot: SnapshotGraph, row: Row) -> Finding | None:
    subject = row["task_id"] or row["id"]
    return make(
        snapshot,
        subject,
        kind="unwoken-loop",
        severity="error",
        title="An event loop sleeps although a task could run",
        sentence=f"{line(snapshot, subject)}: {roots.UNWOKEN.reason}.",
        evidence=lines(snapshot, "waited for by", needed_by(snapshot, subject)),
        query="unwoken-loops",
    )


def _exhausted_pool(snapshot: SnapshotGraph, row: Row) -> Finding | None:
    pool = row["id"]
    holders = needs(snapshot, pool)
    if any(_root_kind(snapshot, holder) in MOVING_BY_ITSELF for holder in holders):
        return None  # somebody is about to give one back
    waiters = needed_by(snapshot, pool)
    held = f"held by {phrases.count(len(holders), 'task')}" if holders else "held by nobody seen"
    return make(
        snapshot,
        pool,
        kind="exhausted-pool",
        severity="error",
        title="A pool or semaphore is exhausted",
        sentence=f"{line(snapshot, pool)} has nothing left, {held}, and"
        f" {phrases.count(len(waiters), 'waits', 'wait')} for it.",
        evidence=[
            *lines(snapshot, "held by", holders),
            *lines(snapshot, "waited for by", waiters),
        ],
        query="exhausted-pools",
        key=same("exhausted-pool", pool, holders, waiters),
    )


def _full_queue(snapshot: SnapshotGraph, row: Row) -> Finding | None:
    queue = row["id"]
    waiters = needed_by(snapshot, queue)
    users = needs(snapshot, queue)
    capacity = row["capacity"]
    # A counter that stands still tells that nothing is taken out; without one, whoever moves in
    # that process may be the consumer.
    stands_still = row["unfinished"] is not None or not row["something_moves"]
    if not stands_still or _is_shared(snapshot.node(queue)):
        return None  # of the latter, whoever takes out is in another process
    waiting = phrases.count(len(waiters), "waits", "wait")
    full = f" ({number(row['occupancy'])} of {number(capacity)})" if capacity else ""
    title = "A queue is full and its consumer is too slow, or gone"
    sentence = f"{line(snapshot, queue)} is full{full}; {waiting} to put something in."
    if capacity == 0:
        title = "Nobody receives at a rendezvous"
        sentence = (
            f"{line(snapshot, queue)} has no buffer (capacity 0): {waiting} to hand something"
            " over, and nobody receives."
        )
    return make(
        snapshot,
        queue,
        kind="full-queue",
        severity="warning",
        title=title,
        sentence=sentence,
        evidence=[
            *(lines(snapshot, "emptied by", users) or ["nobody who empties it can be seen"]),
            *lines(snapshot, "waited for by", waiters),
        ],
        query="full-queues",
        key=same("full-queue", queue, users, waiters, [str(row["unfinished"])]),
    )


def _is_shared(node: Node) -> bool:
    """Whether processes share it; agents that do not say so yet name the type."""
    by_type = str(node.attrs.get("type")).startswith("multiprocessing")
    return node.attrs.get("shared") is True or by_type


def _unserved(snapshot: SnapshotGraph, row: Row) -> Finding | None:
    waiters = needed_by(snapshot, row["id"])
    reason = roots.classify(snapshot.node(row["id"])).reason
    return make(
        snapshot,
        row["id"],
        kind="unserved",
        severity="error",
        title="Something is waited for that nobody can provide",
        sentence=f"{phrases.count(len(waiters), 'waits', 'wait')} for {line(snapshot, row['id'])}:"
        f" {reason}, and in its whole process nothing runs, sleeps or listens to anybody.",
        evidence=lines(snapshot, "waited for by", waiters),
        query="unserved",
        key=same("unserved", row["id"], [], as_they_are(snapshot, waiters)),
    )


def _open_scope(snapshot: SnapshotGraph, row: Row) -> Finding | None:
    n = snapshot.graph.index.get(row["parent_id"])
    if n is None or not snapshot.graph.needed_by[n]:
        return None  # nobody minds: the outermost scope of a program, or a server's
    return make(
        snapshot,
        row["id"],
        kind="open-scope",
        severity="info",
        title="A task group cannot close because of one child",
        sentence=f"{line(snapshot, row['parent_id'])} cannot leave"
        f" {phrases.title(snapshot.node(row['id']))}: {line(snapshot, row['child_id'])} goes on.",
        evidence=[answers.explain(snapshot, row["child_id"]).sentence],
        query="open-scopes",
        key=same("open-scope", row["id"], [row["child_id"]], []),
    )


def _shielded(snapshot: SnapshotGraph, row: Row) -> Finding | None:
    has_limit = isinstance(row["timeout_s"], (int, float))
    ends = f" A time limit ends that within {number(row['timeout_s'])} s." if has_limit else ""
    return make(
        snapshot,
        row["id"],
        kind="shielded-task",
        severity="info" if has_limit else "warning",
        title="A cancelled task waits on inside a shielded scope",
        sentence=f"{line(snapshot, row['id'])} was cancelled, but waits where cancellation"
        f" does not reach.{ends}",
        evidence=[answers.explain(snapshot, row["id"]).sentence],
        query="shielded-tasks",
        key=same("shielded-task", row["id"], as_they_are(snapshot, [row["id"]])),
    )


def _root_kind(snapshot: SnapshotGraph, node_id: str) -> str:
    n = snapshot.graph.index.get(node_id)
    if n is not None:
        return answers.root_behind(snapshot, n).kind
    return roots.classify(snapshot.node(node_id), snapshot.missing.get(node_id)).kind


RULES: dict[str, Interpret] = {
    "unanswered": request_rules.unanswered,
    "blocked-loops": _blocked_loop,
    "unwoken-loops": _unwoken_loop,
    "exhausted-pools": _exhausted_pool,
    "unserved": _unserved,
    "full-queues": _full_queue,
    "oldest-requests": request_rules.open_request,
    "requests-between": request_rules.old_request,
    "shielded-tasks": _shielded,
    "open-scopes": _open_scope,
}
"""Name of the query whose rows it reads, to what it makes of one."""
