"""Nodes and waits in plain words.

Decides the sentences that the command line, the HTTP API and the MCP server all show. Refuses to
know colours and layout. Text is as the process sent it; who prints it escapes it.
"""

from collections.abc import Sequence
from itertools import pairwise

from .nodes import CHANNELS, POOLS, SOCKETS, TIMERS, Node

KIND_WORDS = {
    "event_loop": "event loop",
    "joinset": "task group",
    "notify": "event",
    "tx": "sending end of channel",
    "rx": "receiving end of channel",
    "remote_tx": "remote sending end",
    "remote_rx": "remote receiving end",
    "net_connect": "connection attempt",
    "net_accept": "listening socket",
    "net_readable": "socket",
    "net_writable": "socket",
    "file_op": "file operation",
    "command": "child process",
    "oncecell": "once-cell",
    "interval": "timer",
    "sleep": "timer",
    "timeout": "time limit",
}


UNNAMED_ENDS = frozenset({"a receiving end", "a sending end"})
"""What an agent calls the end of a channel that nobody holds where it could be seen."""


def title(node: Node) -> str:
    """E.g. task 'fetch', lock 'accounts'."""
    if node.kind in CHANNELS and node.name in UNNAMED_ENDS:
        return f"{node.name} of the channel"
    word = KIND_WORDS.get(node.kind, node.kind)
    return f"{word} {node.name!r}" if "\n" not in node.name else f"{word} {node.name[:40]!r}"


def whereabouts(node: Node, *, with_process: bool = True) -> str:
    """E.g. (api-12, app.py:31 in fetch); "" if nothing is known."""
    parts = [node.proc_key] if with_process and node.proc_key else []
    place = node.place
    if place.file:
        parts.append(f"{place} in {place.function}" if place.function else str(place))
    return f"({', '.join(parts)})" if parts else ""


QUIET_S = 1.0
"""A connection is called quiet when nothing has gone over it for so long."""


def quiet_for(node: Node) -> str:
    """For how long nothing has gone over a connection, if that is worth telling, else ""."""
    silence = node.number("quiet_s")
    return duration(silence) if silence is not None and silence >= QUIET_S else ""


def duration(seconds: float) -> str:
    """E.g. 4.2 s, 3 min 20 s, 1.5 h."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{seconds / 3600:.1f} h"


def relation(src: Node, dst: Node) -> str:
    """How `dst` follows upon `src` when src needs dst, e.g. "held by"."""
    if src.kind in SOCKETS:
        return "answered by" if dst.kind in SOCKETS else "served by"
    if src.kind == "joinset":
        return "which still contains"
    if src.kind == "event_loop":
        return "occupied by"
    if src.kind == "executor":
        return "busy with" if dst.kind != "executor" else "part of"
    if src.kind in ("lock", *POOLS):
        return "held by"
    if src.kind in CHANNELS:
        return "used at the other end by"
    if src.kind in ("notify", "condition", "oncecell", "barrier"):
        return "to be set off by"
    if src.kind == "future":
        return "to be completed by"
    if dst.kind in TIMERS:
        return "sleeps until"
    return "waits for"


TOLD = 15
"""So many links at either end of a long chain are told in words; its steps tell all."""

ACTIVE = ("waits", "sleeps")


def _then(phrase: str) -> str:
    """`phrase` as the continuation of a sentence about the thing just named."""
    if phrase.startswith((*ACTIVE, "busy")):
        return f"which is {phrase}" if phrase.startswith("busy") else f"which {phrase}"
    return phrase


def _without_connections(path: Sequence[Node]) -> list[tuple[Node, str]]:
    """Each node of `path` with how it follows; sockets on the way to somebody become a clause."""
    links = [(path[0], "")]
    last = max((i for i, node in enumerate(path) if node.kind != "socket"), default=0)
    for number, (src, dst) in enumerate(pairwise(path), 1):
        if dst.kind == "socket" and number < last:
            continue  # told with whoever comes after it
        if src.kind == "socket" and dst.kind != "socket":
            links.append((dst, f"waits, over the connection {_address(path, number)}, for"))
        else:
            links.append((dst, relation(src, dst)))
    return links


def _address(path: Sequence[Node], number: int) -> str:
    """The connection that leads to path[number], as its first socket has it."""
    first = number - 1
    while first > 0 and path[first - 1].kind == "socket":
        first -= 1
    name = path[first].name.removeprefix("tcp:").replace(">", " to ")
    return f"{name} (quiet for {silence})" if (silence := quiet_for(path[first])) else name


def chain_sentence(path: Sequence[Node]) -> str:
    """`path` as one sentence without its full stop: A waits for L, held by B, which waits for C."""
    links = _without_connections(path)
    left_out = len(links) - 2 * TOLD
    words = [f"{title(path[0])} {whereabouts(path[0])}".rstrip()]
    shown_process = path[0].proc_key
    for number, (node, phrase) in enumerate(links[1:]):
        if left_out > 1 and TOLD <= number + 1 < TOLD + left_out:
            if number + 1 == TOLD:
                words.append(f", and so on through {left_out} others")
            continue
        if number:
            words.append(f", {_then(phrase)}")
        else:
            words.append(f" {phrase}" if phrase.startswith(ACTIVE) else f" is {phrase}")
        told = node is path[0]  # the end of a circle needs no introduction
        news = "" if told else whereabouts(node, with_process=node.proc_key != shown_process)
        shown_process = node.proc_key or shown_process
        words.append(f" {title(node)} {news}".rstrip())
    return "".join(words)


def cycle_sentence(cycle: Sequence[Node]) -> str:
    """A deadlock in one sentence, starting with somebody who acts."""
    start = next((i for i, n in enumerate(cycle) if n.kind in ("task", "thread")), 0)
    turned = [*cycle[start:], *cycle[:start]]
    if len(turned) == 1:
        return f"{title(turned[0])} {whereabouts(turned[0])}".rstrip() + " waits for itself"
    return f"{chain_sentence([*turned, turned[0]])} again"


def count(number: int, singular: str, plural: str | None = None) -> str:
    """E.g. 1 task, 2 tasks."""
    return f"{number} {singular if number == 1 else plural or singular + 's'}"
