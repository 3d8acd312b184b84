"""From what was seen of a thread to its node and edges.

Decides the attributes of a thread and when a wait is certain enough for an edge. Refuses to know
frames and objects: it is given plain values.
"""

from typing import NamedTuple

from ..cut import Seen
from ..graph import Graph, Ref, location, own_place
from ..places import Spot
from .thread_waits import ThreadWait

NOT_WAITS = frozenset(("idle", "event_loop"))
"""What threads do when they have nothing to do: nobody is stuck because of it."""
NATIVE = "native code"
"""A call that is not known to wait, which the kernel says does not run."""
_UNSURE = "at a lock whose holder was not found, and it ran again right after the cut"
_DID_NOT_RUN = "it did not run for a while"


class ThreadRow(NamedTuple):
    """A thread as the cut saw it."""

    ident: int
    spots: tuple[Spot, ...]
    """Outermost first."""
    wait: ThreadWait | None


def build_thread(
    row: ThreadRow, graph: Graph, seen: Seen, was_still: bool, steps: int | None
) -> None:
    """The node of a thread and what it needs. `was_still`: it was seen not to run for a while;
    `steps`: how often it has run so far."""
    thread = seen.threads.get(row.ident)
    places = seen.places.stack(row.spots)
    wait = row.wait
    certainty = _certainty(row.ident, wait, seen, was_still)
    node = graph.node(
        *seen.thread_ref(row.ident),
        label=(thread and thread.name) or f"thread {row.ident}",
        name=thread and thread.name,
        native_id=thread and thread.native_id,
        daemon=thread and thread.daemon,
        state=_state(wait, was_still),
        waits_for=wait.kind if wait else NATIVE if was_still else None,
        op=wait.op if wait else None,
        timeout_s=_limit(wait),
        steps=steps,
        unsure=_UNSURE if certainty is None and wait is not None else None,
        stack=graph.stack(places),
        **location(own_place(places)),
    )
    if wait is None or certainty is None:
        return
    if wait.kind == "sleep":
        asleep = graph.node("sleep", f"thread-{row.ident:x}", label="sleep")
        graph.edge(node, asleep, "needs", inferred=wait.inferred)
    how = certainty or wait.inferred
    for ref in wait.needs:
        if ref[0] == "command":
            graph.node(*ref)  # it may have exited by now, and nobody else knows it
        graph.edge(node, graph.ref(ref), "needs", op=wait.op, inferred=how)
    task = seen.facts.thread_task.get(row.ident)
    if task is not None and wait.kind not in NOT_WAITS:
        graph.edge(graph.ref(task), node, "needs", relation="runs on it")


def _state(wait: ThreadWait | None, was_still: bool) -> str:
    if wait is None:
        return "waiting" if was_still else "running"
    return "idle" if wait.kind in NOT_WAITS else "waiting"


def _limit(wait: ThreadWait | None) -> float | None:
    """Within how many seconds its wait ends by itself, in milliseconds' precision."""
    if wait is None or wait.kind in NOT_WAITS or wait.limit_s is None:
        return None
    return round(wait.limit_s, 3)


def _certainty(ident: int, wait: ThreadWait | None, seen: Seen, was_still: bool) -> str | None:
    """Why a wait is believed ("" if it was simply seen); None if it is not."""
    if wait is None or wait.contended is None:
        return ""
    ref, owner = wait.contended
    if was_still:
        return _DID_NOT_RUN
    if not holders_of(ref, seen):
        return None
    if owner == ident:  # it owns the lock: entering it again does not block
        return None
    return ""


def holders_of(ref: Ref, seen: Seen) -> list[Ref]:
    """Who holds a lock, as far as it was found."""
    return [
        holding.holder
        for holding in seen.facts.holders.get(ref, ())
        if (ref, holding.holder) not in seen.facts.released
    ]
