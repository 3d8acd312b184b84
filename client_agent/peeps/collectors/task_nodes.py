"""What a cut tells about tasks, in plain values, and the nodes and edges that come of it.

Decides how a task, its wait and the groups it waits for become nodes with `needs` edges. Refuses
to know how any of it was read: nothing of the host is here.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

from ..cut import BLOCKED, Seen
from ..graph import Graph, Ref, location, own_place
from ..places import Spot

RUNNING = "running"
"""Its step runs on a thread right now."""
RUNNABLE = "runnable"
"""It will be stepped when its loop comes to it."""
WAITING = "waiting"
BLOCKS = "blocked"
"""Its step does not end, and its loop does not turn."""


class Wait(NamedTuple):
    """What a task waits for, in plain values."""

    kind: str
    op: str | None
    needs: tuple[Ref, ...]
    remaining_s: float | None = None
    """Seconds until the wait ends by itself, at the time of the cut."""
    why: str | None = None
    """How that was inferred, where it was not read from the very thing."""


class Group(NamedTuple):
    """Several things waited for together: gather, wait, a task group, a nursery."""

    ref: Ref
    label: str
    members: tuple[Ref, ...]
    any: bool = False
    owner: Ref | None = None


class TaskRow(NamedTuple):
    """A task as the cut saw it."""

    ref: Ref
    name: str
    coroutine: str
    state: str
    stack: tuple[Spot, ...]
    loop: Ref | None
    wait: Wait | None
    timeout_s: float | None
    """Seconds until a timeout around its wait ends it."""
    attrs: dict[str, Any] | None = None


Scopes = tuple[list[dict[str, Any]], float | None]
"""Cancel scopes around a task, innermost first, and seconds until a deadline reaches it."""


@dataclass(slots=True)
class Tasks:
    """All that one loop's cut found."""

    rows: list[TaskRow] = field(default_factory=list)
    groups: dict[Ref, Group] = field(default_factory=dict)
    sleeps: dict[Ref, float | None] = field(default_factory=dict)
    bare: dict[int, Ref] = field(default_factory=dict)
    """Futures that are waited for and tell nothing about who will set them, by id."""
    setters: dict[Ref, set[Ref]] = field(default_factory=dict)
    """Bare future -> tasks that have it in a local variable."""
    answers: dict[Ref, Ref] = field(default_factory=dict)
    """Queue in which a thread waits for a call's result -> task that runs the call."""
    files: dict[Ref, int] = field(default_factory=dict)
    """Nodes that stand for a file descriptor alone."""
    loop: Ref | None = None
    dull: set[Any] = field(default_factory=set)
    """Shapes whose tasks need no more than a note."""
    notes: list[Any] = field(default_factory=list)
    """Of tasks that wait for a plain thing and hold nothing, numbers and texts one after the
    other, as their collector knows: that is cheaper than rows."""
    limits: dict[int, float] = field(default_factory=dict)
    """By id of a task: seconds until a time limit set outside of it reaches it."""
    scopes: dict[int, Scopes] = field(default_factory=dict)
    """By id of a task's innermost one: its cancel scopes."""


def build_tasks(tasks: Tasks, graph: Graph, seen: Seen, more_rows: Iterable[TaskRow] = ()) -> None:
    """Nodes and edges of what one loop's cut found."""
    for group in tasks.groups.values():
        _build_group(group, graph)
    for ref, remaining in tasks.sleeps.items():
        graph.node(*ref, label="sleep", remaining_s=_rounded(remaining))
    for future, setters in tasks.setters.items():
        node = graph.node(*future, wait="any", incomplete=True)
        for setter in setters:
            how = "it has the future in a local variable"
            graph.edge(node, graph.ref(setter), "needs", relation="may set it", inferred=how)
    for queue, task in tasks.answers.items():
        graph.edge(graph.ref(queue), graph.ref(task), "needs", relation="answered by")
    for ref, descriptor in tasks.files.items():
        graph.node(*ref, label=f"file descriptor {descriptor}", fd=descriptor)
    stacks: dict[tuple[Spot, ...], tuple[list[str], dict[str, Any]]] = {}
    for row in chain(tasks.rows, more_rows):
        told = stacks.get(row.stack)
        if told is None:
            # Most tasks stand at few places: each is written once.
            places = seen.places.stack(row.stack)
            told = stacks[row.stack] = (graph.stack(places), location(own_place(places)))
        _build_task(row, told, graph, seen)


def _build_group(group: Group, graph: Graph) -> None:
    node = graph.node(*group.ref, label=group.label, wait="any" if group.any else None)
    for member in group.members:
        graph.edge(node, graph.ref(member), "needs")
    if group.owner is not None:
        graph.edge(graph.ref(group.owner), node, "spawned")
        for member in group.members:
            graph.edge(node, graph.ref(member), "spawned")


_THREAD_SIDE = frozenset({"thread", "future", "executor"})


def _build_task(
    row: TaskRow, told: tuple[list[str], dict[str, Any]], graph: Graph, seen: Seen
) -> None:
    stack, where = told
    wait = row.wait
    cut = seen.cuts.get(row.loop, {}) if row.loop else {}
    is_blocked = cut.get("cut") == BLOCKED
    attrs: dict[str, Any] = {
        "name": row.name,
        "coroutine": row.coroutine,
        "state": BLOCKS if is_blocked and row.state == RUNNING else row.state,
        "stack": stack,
        "waits_for": wait.kind if wait else None,
        "op": wait.op if wait else None,
        "timeout_s": _rounded(row.timeout_s),
        "loop": graph.ref(row.loop) if row.loop else None,
        "cut": cut.get("cut"),
        **where,
        **(row.attrs or {}),
    }
    kind, key = row.ref
    label = f"{row.name}: {row.coroutine}"
    node = graph.node_by_id(graph.id(kind, key), kind, label, attrs)
    if is_blocked and row.state != RUNNING and row.loop:
        why = "its loop does not turn"
        graph.edge(node, graph.ref(row.loop), "needs", inferred=why)
    if row.state == RUNNABLE and cut.get("ready_while_parked") and row.loop:
        why = "it is ready to run, but its loop sleeps and nothing wakes it"
        graph.edge(node, graph.ref(row.loop), "needs", inferred=why)
    apart = seen.apart.get(row.loop) if row.loop else None
    for ref in wait.needs if wait else ():
        apart_ms = apart if ref[0] in _THREAD_SIDE else None
        inferred = wait.why if wait else None
        op = wait.op if wait else None
        graph.edge(node, graph.ref(ref), "needs", op=op, inferred=inferred, apart_ms=apart_ms)


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
