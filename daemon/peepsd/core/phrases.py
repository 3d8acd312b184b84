"""Nodes and waits in plain words.

Decides the sentences that the command line, the HTTP API and the MCP server all show. Refuses to
know colours and layout. Text is as the process sent it; who prints it escapes it.
"""

from collections.abc import Sequence
from itertools import pairwise

from .nodes import CHANNELS, POOLS, SOCKETS, TIMERS, Node

KIND_WORDS = {
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


def title(node: Node) -> str:
    """E.g. task 'fetch', lock 'accounts'."""
    word = KIND_WORDS.get(node.kind, node.kind)
    return f"{word} {node.name!r}" if "\n" not in node.name else f"{word} {node.name[:40]!r}"


def whereabouts(node: Node, *, with_process: bool = True) -> str:
    """E.g. (api-12, app.py:31 in fetch); "" if nothing is known."""
    parts = [node.proc_key] if with_process and node.proc_key else []
    place = node.place
    if place.file:
        parts.append(f"{place} in {place.function}" if place.function else str(place))
    return f"({', '.join(parts)})" if parts else ""


def relation(src: Node, dst: Node) -> str:
    """How `dst` follows upon `src` when src needs dst, e.g. "held by"."""
    if src.kind in SOCKETS:
        return "answered by" if dst.kind in SOCKETS else "served by"
    if src.kind == "joinset":
        return "which still contains"
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


def _then(phrase: str) -> str:
    """`phrase` as the continuation of a sentence about the thing just named."""
    if phrase in ("waits for", "sleeps until", "busy with"):
        return {"busy with": "which is busy with"}.get(phrase, f"which {phrase}")
    return phrase


def chain_sentence(path: Sequence[Node]) -> str:
    """`path` as one sentence without its full stop: A waits for L, held by B, which waits for C."""
    words = [f"{title(path[0])} {whereabouts(path[0])}".rstrip()]
    shown_process = path[0].proc_key
    for src, dst in pairwise(path):
        phrase = relation(src, dst)
        if len(words) == 1 and src is path[0]:
            link = phrase if phrase in ("waits for", "sleeps until") else f"is {phrase}"
            link = f" {link} "
        else:
            link = f", {_then(phrase)} "
        news = whereabouts(dst, with_process=dst.proc_key != shown_process)
        shown_process = dst.proc_key or shown_process
        words.append(f"{link}{title(dst)} {news}".rstrip())
    return "".join(words)


def cycle_sentence(cycle: Sequence[Node]) -> str:
    """A deadlock in one sentence, starting with somebody who acts."""
    start = next((i for i, n in enumerate(cycle) if n.kind in ("task", "thread")), 0)
    turned = [*cycle[start:], *cycle[:start]]
    if len(turned) == 1:
        return f"{title(turned[0])} {whereabouts(turned[0])} waits for itself".replace("  ", " ")
    closing = _then(relation(turned[-1], turned[0]))
    return f"{chain_sentence(turned)}, {closing} {title(turned[0])} again"


def count(number: int, singular: str, plural: str | None = None) -> str:
    """E.g. 1 task, 2 tasks."""
    return f"{number} {singular if number == 1 else plural or singular + 's'}"
