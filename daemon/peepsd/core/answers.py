"""Answers about one snapshot, as plain data: why, deadlocks, blockers.

Decides what an answer says (its shape: answer_shapes.py). Refuses to know where the snapshot came
from and how an answer is shown.
"""

from collections.abc import Sequence
from hashlib import blake2b
from itertools import pairwise

from . import blockers, confidence, phrases, roots
from .answer_shapes import (
    BlockerInfo,
    Blockers,
    DeadlockInfo,
    Deadlocks,
    NodeInfo,
    RootInfo,
    Step,
    Why,
)
from .chains import Chain
from .confidence import Confidence
from .nodes import PEOPLE, Node, child_pid
from .roots import Root
from .snapshot_graph import SnapshotGraph
from .waits import Deadlock, WaitGraph

_PEOPLE = tuple(f"{kind}:" for kind in PEOPLE)

LISTED = 100
"""So many nodes of a set are listed; its size is always told."""


def info(snapshot: SnapshotGraph, node: Node) -> NodeInfo:
    """`node` as it is shown."""
    gap = snapshot.missing.get(node.id)
    return NodeInfo(
        node.id,
        node.kind,
        node.name,
        node.process,
        node.proc_key,
        node.state,
        str(node.place) or None,
        node.place.function,
        gap.reason if gap else None,
    )


def is_waiter(node_id: str) -> bool:
    """Whether it counts when waiters are counted."""
    return node_id.startswith(_PEOPLE)


def steps(snapshot: SnapshotGraph, numbers: Sequence[int]) -> list[Step]:
    """A path of the wait graph, each node with how it follows."""
    path = snapshot.path(numbers)
    links = [Step(info(snapshot, path[0]), "")] if path else []
    for (a, b), (src, dst) in zip(pairwise(numbers), pairwise(path), strict=True):
        how = snapshot.graph.inferred.get((a, b))
        links.append(Step(info(snapshot, dst), phrases.relation(src, dst), how))
    return links


def deadlock_id(graph: WaitGraph, deadlock: Deadlock) -> str:
    """A short name made of its cycle."""
    text = "\n".join(sorted(graph.ids[n] for n in deadlock.cycle))
    return "dl-" + blake2b(text.encode(), digest_size=4).hexdigest()


def describe_deadlock(
    snapshot: SnapshotGraph, deadlock: Deadlock, confirmed: bool | None = None
) -> DeadlockInfo:
    """`deadlock` as it is shown. confirmed=None: nobody has looked again yet."""
    graph, ids = snapshot.graph, snapshot.graph.ids
    cycle = _turned_to_an_actor(graph, deadlock.cycle)
    path = snapshot.path(cycle)
    members = [n for n in deadlock.members if ids[n].startswith(_PEOPLE)]
    waiting = [n for n in deadlock.behind if ids[n].startswith(_PEOPLE)]
    return DeadlockInfo(
        id=deadlock_id(graph, deadlock),
        status="confirmed" if confirmed else "candidate",
        sentence=phrases.cycle_sentence(path) + ".",
        cycle=steps(snapshot, [*cycle, cycle[0]]),
        members=[info(snapshot, n) for n in snapshot.path(members[:LISTED])],
        members_count=len(members),
        waiting=[info(snapshot, n) for n in snapshot.path(waiting[:LISTED])],
        waiting_count=len(waiting),
        processes=sorted({n.proc_key for n in path if n.proc_key}),
        confidence=_deadlock_confidence(snapshot, deadlock, path, bool(confirmed)),
    )


def _turned_to_an_actor(graph: WaitGraph, cycle: Sequence[int]) -> list[int]:
    start = next((i for i, n in enumerate(cycle) if is_waiter(graph.ids[n])), 0)
    return [*cycle[start:], *cycle[:start]]


def _deadlock_confidence(
    snapshot: SnapshotGraph, deadlock: Deadlock, path: Sequence[Node], confirmed: bool
) -> Confidence:
    cycle = deadlock.cycle
    links = zip(cycle, [*cycle[1:], cycle[0]], strict=True)
    inferred = [how for link in links if (how := snapshot.graph.inferred.get(link))]
    several = len({n.proc_key for n in path}) > 1
    return confidence.judge(
        confidence.Circumstances(
            inferred=inferred,
            confirmed=confirmed,
            skew_ms=snapshot.skew_ms if several and not confirmed else None,
            torn=sum(n.is_torn for n in path) if not confirmed else 0,
        )
    )


def is_confirmed(snapshot: SnapshotGraph, deadlock: Deadlock, later: SnapshotGraph) -> bool:
    """Whether the nodes of its cycle still wait for each other in `later`."""
    ids = {snapshot.graph.ids[n] for n in deadlock.cycle}
    return any(ids <= {later.graph.ids[n] for n in d.members} for d in later.deadlocks)


def deadlocks(
    snapshot: SnapshotGraph, later: SnapshotGraph | None = None, *, keep: bool = False
) -> Deadlocks:
    """The deadlocks of `snapshot`. Given another one, only those that are in both (keep=True:
    the others stay candidates)."""
    found = []
    for deadlock in snapshot.deadlocks:
        confirmed = None if later is None else is_confirmed(snapshot, deadlock, later)
        if keep or confirmed is not False:
            found.append(describe_deadlock(snapshot, deadlock, confirmed))
    return Deadlocks(
        snapshot.snapshot_id,
        later.snapshot_id if later else None,
        found,
        [p.proc_key for p in snapshot.unanswered()],
    )


def explain(
    snapshot: SnapshotGraph,
    subject_id: str,
    later: SnapshotGraph | None = None,
) -> Why:
    """Why the node of that id does not go on."""
    graph = snapshot.graph
    start = graph.index.get(subject_id)
    if start is None:
        return _not_waiting(snapshot, snapshot.node(subject_id))
    chain = _chain_from(snapshot, start)
    path = snapshot.path(chain.path)
    subject = info(snapshot, path[0])
    links = steps(snapshot, chain.path)
    inferred = [step.inferred for step in links if step.inferred]
    if chain.deadlock is not None:
        confirmed = is_confirmed(snapshot, chain.deadlock, later) if later else None
        knot = describe_deadlock(snapshot, chain.deadlock, confirmed)
        return Why(
            snapshot.snapshot_id,
            subject,
            _deadlock_sentence(snapshot, chain, knot, confirmed, later),
            links,
            _root_info(snapshot, chain),
            knot,
            knot.waiting_count + knot.members_count,
            knot.confidence,
            caveats(snapshot),
        )
    root = _root_info(snapshot, chain)
    doubts = confidence.Circumstances(inferred=inferred, torn=sum(n.is_torn for n in path))
    again = " again" if chain.path[-1] in chain.path[:-1] else ""
    sentence = f"{phrases.chain_sentence(path)}{again}: {root.reason}."
    return Why(
        snapshot.snapshot_id,
        subject,
        sentence,
        links,
        root,
        None,
        behind(snapshot, chain.path[-1]),
        confidence.judge(doubts),
        caveats(snapshot, more_roots=chain.roots_seen - 1, cut_short=chain.is_cut_short),
    )


def _chain_from(snapshot: SnapshotGraph, start: int) -> Chain:
    return snapshot.chains().explain(start, lambda ends: _judge(snapshot, ends))


def _root_info(snapshot: SnapshotGraph, chain: Chain) -> RootInfo:
    end = chain.path[-1]
    if chain.deadlock is not None:
        root = roots.CYCLE
    elif chain.roots_seen:
        root = root_of(snapshot, end)
    else:
        end = next((n for n in chain.path if n in snapshot.graph.limited), end)
        root = _of_no_end(snapshot, end)
    node = info(snapshot, snapshot.path([end])[0])
    return RootInfo(root.kind, node, root.reason, root.is_idle)


def root_behind(snapshot: SnapshotGraph, n: int) -> RootInfo:
    """What the node with that number waits for in the end."""
    return _root_info(snapshot, _chain_from(snapshot, n))


def _deadlock_sentence(
    snapshot: SnapshotGraph,
    chain: Chain,
    knot: DeadlockInfo,
    confirmed: bool | None,
    later: SnapshotGraph | None,
) -> str:
    cycle = chain.deadlock.cycle if chain.deadlock else ()
    if confirmed:
        verdict = "This is a deadlock."
    elif later is None:
        verdict = "This is a deadlock if it lasts; it was seen once."
    else:
        verdict = f"It is not there in snapshot {later.snapshot_id}, so it was no deadlock."
    if chain.path[0] in cycle:
        at = cycle.index(chain.path[0])
        turned = snapshot.path([*cycle[at:], *cycle[:at]])
        return f"{phrases.cycle_sentence(turned)}. {verdict}"
    lead = phrases.chain_sentence(snapshot.path(chain.path))
    return f"{lead}, which is caught in a circle: {knot.sentence} {verdict}"


def _of_no_end(snapshot: SnapshotGraph, end: int) -> Root:
    graph = snapshot.graph
    return roots.limited(snapshot.node(graph.ids[end])) if end in graph.limited else roots.FARTHER


def _not_waiting(snapshot: SnapshotGraph, node: Node) -> Why:
    gap = snapshot.missing.get(node.id)
    root = roots.classify(node, gap)
    place = phrases.whereabouts(node)
    return Why(
        snapshot.snapshot_id,
        info(snapshot, node),
        f"{phrases.title(node)} {place}".rstrip() + f": {root.reason}.",
        [Step(info(snapshot, node), "")],
        RootInfo(root.kind, info(snapshot, node), root.reason, root.is_idle),
        caveats=caveats(snapshot),
    )


def root_of(snapshot: SnapshotGraph, end: int) -> Root:
    """What kind of root the node with that number is."""
    node_id = snapshot.graph.ids[end]
    node = snapshot.node(node_id)
    if end in snapshot.blocking():
        return roots.BLOCKING
    if listeners := snapshot.wires.idle.get(end):
        other = snapshot.path(listeners[:1])[0]
        return Root(
            "external",
            f"the other end, {phrases.title(other)} {phrases.whereabouts(other)}, is itself"
            " waiting to hear from this connection",
        )
    pid = child_pid(node.id, node.attrs.get("child_pid")) if node.kind == "command" else None
    if (child := snapshot.process_with(pid)) is not None:
        return Root("external", f"it ends when process {child} does", is_idle=True)
    return roots.classify(node, snapshot.missing.get(node_id))


def _judge(snapshot: SnapshotGraph, ends: list[int]) -> list[int]:
    nodes = snapshot.path(ends)  # one lookup for all
    return [roots.rank(root_of(snapshot, n), node) for n, node in zip(ends, nodes, strict=True)]


def behind(snapshot: SnapshotGraph, n: int) -> int:
    """How many tasks and threads wait for n, directly and through others."""
    graph = snapshot.graph
    found = graph.waiting_for([n])
    return sum(is_waiter(graph.ids[w]) for w in found) - is_waiter(graph.ids[n])


def caveats(snapshot: SnapshotGraph, *, more_roots: int = 0, cut_short: bool = False) -> list[str]:
    """What a reader must know that this answer does not show."""
    said = [f"{p.proc_key} is missing: {_status(p.status)}" for p in snapshot.unanswered()]
    if more_roots > 0:
        said.append(f"it also waits for {phrases.count(more_roots, 'other thing')}, less telling")
    if cut_short:
        said.append("the graph is so large that the search was cut short")
    return said


def _status(status: str) -> str:
    return {"timeout": "it did not answer in time", "disconnected": "it disconnected"}.get(
        status, "it answered with an error"
    )


def top_blockers(snapshot: SnapshotGraph, limit: int = 20, roots_only: bool = False) -> Blockers:
    """Who holds up how many. Resources that somebody holds are passed over for their holders."""
    graph = snapshot.graph

    def is_candidate(n: int) -> bool:
        if graph.needs[n]:
            return not roots_only and is_waiter(graph.ids[n])
        return True

    found = blockers.rank(graph, is_waiter, is_candidate, limit)
    snapshot.path([b.node for b in found])
    return Blockers(snapshot.snapshot_id, [_blocker_info(snapshot, b) for b in found])


def _blocker_info(snapshot: SnapshotGraph, blocker: blockers.Blocker) -> BlockerInfo:
    node = info(snapshot, snapshot.path([blocker.node])[0])
    end = root_behind(snapshot, blocker.node)
    return BlockerInfo(node, blocker.direct, blocker.total, blocker.is_root, end)
