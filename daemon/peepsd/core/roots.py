"""What a chain of waits ends at, and how telling that is.

Decides the kind of a root, its reason in words, and which of several roots explains a wait best.
Refuses to know how the chain was found.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from . import phrases
from .nodes import CHANNELS, POOLS, SOCKETS, Node

RootKind = Literal[
    "cycle", "unanswered", "blocked_loop", "external", "unknown", "running", "sleeping", "timeout"
]

ROOT_KINDS: tuple[RootKind, ...] = get_args(RootKind)
"""Most telling first: what never ends before what may end, and that before what will."""

_RANK = {kind: rank for rank, kind in enumerate(ROOT_KINDS)}

ANSWERS: Mapping[str, str] = {
    "process_timeout": "did not answer in time",
    "process_disconnected": "disconnected before it had answered",
    "process_error": "answered with an error",
}


@dataclass(frozen=True, slots=True)
class Missing:
    """Why a node that an edge names is in no reply."""

    reason: str
    """process_timeout, process_disconnected, process_error or no_such_node."""
    proc_key: str | None = None
    """Whose node it would be, if that is known."""


@dataclass(frozen=True, slots=True)
class Root:
    """Where a chain ends, and why it does not go on there."""

    kind: RootKind
    reason: str
    """A clause: what is the matter with it."""
    is_idle: bool = False
    """It waits for work: nothing is wrong with that."""


CYCLE = Root("cycle", "everybody in the circle waits for somebody else in it")


BLOCKING = Root("blocked_loop", "it does not give its event loop back, so nothing else there runs")


FARTHER = Root("unknown", "from there the chain goes on, farther than was searched")


UNWOKEN = Root(
    "unknown",
    "it could go on, but its event loop sleeps and nobody wakes it"
    " (was something set from another thread, without call_soon_threadsafe?)",
)


def classify(node: Node, missing: Missing | None = None) -> Root:
    """The root that a node without needs is."""
    if missing is not None and missing.reason in ANSWERS:
        who = missing.proc_key or "its process"
        return Root("unanswered", f"{who} {ANSWERS[missing.reason]}")
    if node.kind == "net_accept":
        return _listener(node)
    if node.kind in SOCKETS:
        silence = phrases.quiet_for(node)
        since = f", and nothing has gone over it for {silence}" if silence else ""
        return Root("external", f"the other end of the connection is no connected process{since}")
    if node.kind == "command":
        return Root("external", "a child process that does not take part")
    if missing is not None:
        whose = f"the reply of {missing.proc_key}" if missing.proc_key else "any reply"
        return Root("unknown", f"this node was not in {whose}")
    if node.kind in ("sleep", "interval"):
        return Root("sleeping", f"a timer will end this by itself{_left(node)}")
    if node.kind == "timeout":
        return Root("timeout", f"a time limit will end this by itself{_left(node)}")
    if node.kind in ("task", "thread"):
        return _actor(node)
    return Root("unknown", _nobody(node))


def limited(node: Node) -> Root:
    """The root that a wait with a time limit is, in a circle that would be a deadlock without."""
    limit = node.attrs.get("timeout_s")
    within = f"within {limit:.3g} s " if isinstance(limit, (int, float)) else ""
    return Root(
        "timeout",
        f"it waits in a circle, which a time limit breaks {within}(and if it then tries again,"
        " nothing has moved)",
    )


def _left(node: Node) -> str:
    left = node.number("remaining_s")
    return f", in {phrases.duration(left)}" if left is not None and left >= 0 else ""


def _listener(node: Node) -> Root:
    if waiting := node.number("not_accepted"):
        many = phrases.count(int(waiting), "connection waits", "connections wait")
        return Root("external", f"{many} there to be accepted")
    return Root("external", "it waits for somebody to connect", is_idle=True)


def _actor(node: Node) -> Root:
    match node.state:
        case "blocked":
            return BLOCKING
        case "running":
            return Root("running", "it is running")
        case "runnable" if node.attrs.get("cut") == "parked":
            return UNWOKEN
        case "runnable" | "scheduled" | "ready":
            return Root("running", "it can go on and waits for its turn")
        case "idle" | "parked":
            return Root("sleeping", "it is idle until there is something to do", is_idle=True)
        case "sleeping":
            return Root("sleeping", "it sleeps")
        case "done" | "finished":
            return Root("unknown", "it has ended")
    if node.attrs.get("waits_for") == "native code":
        caller = f" that {node.place.function} made" if node.place.function else ""
        return Root("unknown", f"it waits inside of a call to native code{caller}")
    return Root("unknown", "it waits for something that could not be seen from outside")


def _nobody(node: Node) -> str:
    if node.kind in CHANNELS:
        return "no task or thread that will use the other end can be seen"
    if node.kind in POOLS:
        return "who holds it cannot be seen"
    if node.kind == "lock":
        return "it is taken, and by whom cannot be seen"
    if node.kind in ("notify", "condition", "oncecell"):
        return "nobody who would set it can be seen"
    if node.kind == "event_loop":
        return "it sleeps although there is work for it: nobody has woken it"
    if node.kind == "barrier":
        return "others must arrive, and have not"
    if node.kind == "future":
        return "nobody who would complete it can be seen"
    return "what it waits for cannot be seen"


_GENERIC = frozenset({"notify", "condition", "oncecell", "future"})
"""What locks, queues and pools are made of: they say less than the thing itself."""


def rank(root: Root, node: Node) -> int:
    """Smaller is more telling; `node` is where the root was found."""
    if root.is_idle:
        return 2 * len(_RANK)
    return 2 * _RANK[root.kind] + (root.kind == "unknown" and node.kind in _GENERIC)
