"""What to explain when nobody names a node: the worst there is, in a snapshot or in a process.

Decides what is worse than what: a deadlock before a finding, a finding before whatever most wait
for, a circle with a time limit before what is idle or will end by itself. Refuses to know how any
of them is found.
"""

from collections.abc import Callable, Sequence

from . import answers, roots, waits
from .answer_shapes import BlockerInfo, NodeInfo, RootInfo, Step, Why
from .finding import SEVERITIES, Finding
from .snapshot_graph import SnapshotGraph

TRIED = 200
"""So many nodes of a process are explained to find the worst."""

PLUMBING = frozenset({"EntryQueue.task"})
"""Coroutines of an event loop's own tasks, which wait for other threads to call in."""

LIBRARY_TASKS = frozenset({"<init>"})
"""Tasks that an event loop has around those of the program."""

ENDS_BY_ITSELF = frozenset({"running", "sleeping", "timeout"})


def explain_worst(
    snapshot: SnapshotGraph,
    findings: Callable[[], Sequence[Finding]],
    later: SnapshotGraph | None = None,
) -> Why:
    """Why the worst that can be seen does not go on. Findings are asked for if they matter."""
    if snapshot.deadlocks:
        start = _first_actor(snapshot, snapshot.deadlocks[0].cycle)
        return answers.explain(snapshot, start, later)
    grave = sorted(
        (f for f in findings() if f.severity != "info"),
        key=lambda f: (SEVERITIES.index(f.severity), -f.confidence.score),
    )
    for finding in grave:
        if finding.subject is None:
            return _of_process(snapshot, finding)
        return answers.explain(snapshot, _a_waiter(snapshot, finding.subject.id), later)
    top = answers.top_blockers(snapshot, limit=50, roots_only=True).blockers
    ranked = sorted(top, key=lambda blocker: _how_bad(snapshot, blocker))
    if not ranked or not _is_serious(snapshot, ranked[0]):
        circle = _circle_with_limit(snapshot)
        if circle is not None:
            return answers.explain(snapshot, _first_actor(snapshot, circle), later)
    if ranked:
        return answers.explain(snapshot, _a_waiter(snapshot, ranked[0].node.id), later)
    return Why(
        snapshot.snapshot_id,
        None,
        "Nothing waits for anything that could be seen.",
        caveats=answers.caveats(snapshot),
    )


def _how_bad(snapshot: SnapshotGraph, blocker: BlockerInfo) -> tuple[bool, bool, int, int, str]:
    root = blocker.root
    kind = root.kind if root else "running"
    is_idle = (root is not None and root.is_idle) or _is_plumbing(snapshot, blocker.node.id)
    rank = roots.ROOT_KINDS.index(kind)
    return (is_idle, kind in ENDS_BY_ITSELF, -blocker.total, rank, blocker.node.id)


def _is_serious(snapshot: SnapshotGraph, blocker: BlockerInfo) -> bool:
    is_idle, ends_by_itself, *_ = _how_bad(snapshot, blocker)
    return not is_idle and not ends_by_itself


def _circle_with_limit(snapshot: SnapshotGraph) -> list[int] | None:
    """A circle that is no deadlock, because of a time limit: whoever tries again when it has
    passed gets nowhere for all that."""
    graph = snapshot.graph
    _, core = graph.peeled()
    circles = (c for c in graph.components(core) if waits.is_cycle(graph, c))
    return next((c for c in circles if not graph.limited.isdisjoint(c)), None)


def _is_plumbing(snapshot: SnapshotGraph, node_id: str) -> bool:
    """Whether only an event loop's own tasks wait for a node."""
    waiters = snapshot.path(_nearest_actors(snapshot, node_id))
    return bool(waiters) and all(w.attrs.get("coroutine") in PLUMBING for w in waiters)


def _nearest_actors(snapshot: SnapshotGraph, node_id: str) -> list[int]:
    graph = snapshot.graph
    found: list[int] = []
    todo = snapshot.numbers(node_id)
    seen = set(todo)
    for here in todo:
        for waiter in graph.needed_by[here]:
            if waiter in seen or len(seen) > TRIED:
                continue
            seen.add(waiter)
            (found if answers.is_waiter(graph.ids[waiter]) else todo).append(waiter)
    return found


def _first_actor(snapshot: SnapshotGraph, cycle: Sequence[int]) -> str:
    ids = [snapshot.graph.ids[n] for n in cycle]
    return next((i for i in ids if answers.is_waiter(i)), ids[0])


def _a_waiter(snapshot: SnapshotGraph, node_id: str) -> str:
    """A task that waits for a node, from which its chain is worth telling: one that nobody waits
    for itself, if there is one within reach."""
    graph = snapshot.graph
    todo = snapshot.numbers(node_id)
    seen = set(todo)
    found: list[int] = []
    for here in todo:
        for waiter in graph.needed_by[here]:
            if waiter not in seen and len(seen) < TRIED:
                seen.add(waiter)
                todo.append(waiter)
                if answers.is_waiter(graph.ids[waiter]):
                    found.append(waiter)
    worth_telling = [n.id for n in snapshot.path(found) if n.name not in LIBRARY_TASKS]
    return worth_telling[-1] if worth_telling else node_id


def _of_process(snapshot: SnapshotGraph, finding: Finding) -> Why:
    """A process that did not answer is a root of its own."""
    proc_key = finding.key.removeprefix("unanswered ")
    for node_id, gap in snapshot.missing.items():
        if gap.proc_key == proc_key and node_id in snapshot.graph.index:
            return answers.explain(snapshot, _a_waiter(snapshot, node_id))
    return explain_process(snapshot, proc_key, [])


def explain_process(
    snapshot: SnapshotGraph,
    proc_key: str,
    node_ids: Sequence[str],
    later: SnapshotGraph | None = None,
) -> Why:
    """Why a process does not go on; `node_ids` are the tasks and threads in it that wait."""
    process = next(p for p in snapshot.processes if p.proc_key == proc_key)
    if not process.answered:
        return _silent(snapshot, proc_key, process.status)
    if not node_ids:
        return Why(
            snapshot.snapshot_id,
            None,
            f"Nothing in {proc_key} waits for anything that could be seen.",
            caveats=answers.caveats(snapshot),
        )
    index = snapshot.graph.index
    caught = [i for i in node_ids if index.get(i) in snapshot.stuck]
    tried = caught[:1] or node_ids[:TRIED]
    found = [answers.explain(snapshot, node_id, later) for node_id in tried]
    return min(found, key=lambda why: _how_telling(snapshot, why))


def _how_telling(snapshot: SnapshotGraph, why: Why) -> tuple[bool, bool, bool, int, int, int]:
    kind = why.root.kind if why.root else "running"
    rank = roots.ROOT_KINDS.index(kind)
    is_idle = why.root is not None and why.root.is_idle
    is_of_library = why.subject is not None and snapshot.node(why.subject.id).is_of_library
    if is_of_library and why.subject is not None and not _is_waited_for(snapshot, why.subject.id):
        is_idle = True  # a library's helper, which nobody misses
    return (
        is_idle,
        kind in ENDS_BY_ITSELF,
        is_of_library,
        rank,
        -why.waiting_count,
        -len(why.steps),
    )


def _is_waited_for(snapshot: SnapshotGraph, node_id: str) -> bool:
    n = snapshot.graph.index.get(node_id)
    return n is not None and bool(snapshot.graph.needed_by[n])


def _silent(snapshot: SnapshotGraph, proc_key: str, status: str) -> Why:
    words = {"timeout": "process_timeout", "disconnected": "process_disconnected"}
    clause = roots.ANSWERS[words.get(status, "process_error")]
    node = NodeInfo(
        f"process:{proc_key}", "process", proc_key, proc_key, proc_key, status, None, None,
        words.get(status, "process_error"),
    )  # fmt: skip
    reason = f"{proc_key} {clause}"
    return Why(
        snapshot.snapshot_id,
        node,
        f"process {proc_key!r} {clause}; what happens in it is not known. It may be stopped, out"
        " of CPU time, or inside native code that holds the interpreter lock.",
        [Step(node, "")],
        RootInfo("unanswered", node, reason),
        caveats=answers.caveats(snapshot),
    )
