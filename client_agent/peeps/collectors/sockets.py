"""Connections: which task or thread waits for which, and which serves which.

Decides, from a task's chain or a thread's frames, the connection it waits on (its wait is in a
network library, the innermost connection counts) and the connection it serves (the outermost
counts), and draws the edges by which both ends of a connection meet in the database:

    waiter -> socket:tcp:A>B:waited -> socket:tcp:B>A     drawn by the waiter's process
    socket:tcp:B>A -> whoever serves it there             drawn by the other process

The local end of a waiter has a node of its own for the wait: the end as such stands for what its
process does to the connection, and that need not be the waiter's doing. Whoever waits to read from
a connection does not serve it at that moment: two ends that both listen are idle, not deadlocked.
Refuses to know how libraries keep their sockets (`connections`) and what the kernel knows
(`socket_table`).
"""

import weakref
from collections.abc import Sequence
from types import CodeType
from typing import Any, NamedTuple

from ..awaitables import slots
from ..cut import Cut, Seen
from ..graph import Graph, Ref
from . import socket_table, tcp_progress
from .connections import ConnectionFinder, Handle
from .frame_values import View
from .socket_addresses import Pair, ip_address
from .socket_pairs import Resolver, has_room
from .thread_waits import ThreadWait

READ, WRITE = "read", "write"
_IO_KINDS = frozenset(("rx", "tx", "socket", "net_readable", "net_writable", "fd"))
_NETWORK_LIBRARIES = frozenset(
    (
        *("httpcore", "httpx", "httpcore2", "httpx2", "aiohttp", "h2", "wsproto", "websockets"),
        *("uvicorn", "hypercorn", "granian", "daphne", "redis", "asyncpg", "psycopg", "aiomysql"),
    )
)
_PRIMITIVES = frozenset(("asyncio", "anyio", "trio", "threading"))
_WRITERS = frozenset(("drain", "_drain_helper", "send", "send_all", "sendall", "write"))
_READERS = frozenset(("receive", "read", "recv", "receive_some", "readline", "_wait_for_data"))
_MAX_ARGUMENTS = 4
_MAX_BARREN = 3
_LOOK_AT_FILES_S = 0.05
_ASK_FOR_PROGRESS_S = 0.05


def collector() -> "Sockets":
    return Sockets()


class Sighting(NamedTuple):
    """A task's or thread's connections, in handles."""

    waits_on: Handle | None
    op: str | None
    serves: Handle | None
    was_given: bool
    """Whether it got the one that it serves as an argument; it may have made it otherwise, or
    be about to hand it on."""


class Sockets:
    """The Collector of connections."""

    name = "sockets"

    def __init__(self) -> None:
        self._finder = ConnectionFinder()
        self._barren: dict[tuple[int, ...], int] = {}
        """Chains of code without any connection, by the ids of their code, and how often."""
        self._libraries: dict[int, str] = {}
        self._resolver = Resolver()
        self._sightings: dict[Ref, Sighting] = {}
        self._scope = ""
        self._rows: dict[Pair, socket_table.KernelSocket] = {}
        self._progress: dict[Pair, tcp_progress.Progress] = {}
        self._listening: set[str] = set()

    def applies(self) -> bool:
        return True

    def prepare(self, cut: Cut) -> None:
        # Ids of code objects may be used again: forget what was learnt before it is worth much.
        if len(self._barren) > 4096:
            self._barren.clear()
            self._libraries.clear()
        self._sightings = {}
        self._scope = self._scope or socket_table.scope()
        cut.on_task.append(self._see_task)
        cut.on_thread.append(self._see_thread)

    def capture(self, cut: Cut) -> dict[Ref, Sighting]:
        """Nothing more: tasks and threads were shown to the hooks."""
        return self._sightings

    # ------------------------------------------------------------------ tasks

    def _see_task(
        self,
        ref: Ref,
        links: Sequence[tuple[Any, CodeType]],
        target: object,
        target_ref: Ref | None,
    ) -> bool:
        shape = tuple([id(code) for _, code in links])
        if self._barren.get(shape, 0) >= _MAX_BARREN:
            return False
        if any(code.co_name == "wait_woken" for _, code in links):
            return False  # trio's own: it waits for somebody to wake the loop
        serves, was_given = self._served_by_task(links)
        waits_on, op = self._waited_by_task(links, target, target_ref)
        if serves is None and waits_on is None:
            self._barren[shape] = self._barren.get(shape, 0) + 1
        else:
            self._sightings[ref] = Sighting(waits_on, op, serves, was_given)
        return True

    def _served_by_task(self, links: Sequence[tuple[Any, CodeType]]) -> tuple[Handle | None, bool]:
        for link, code in links:
            arguments = code.co_argcount + code.co_kwonlyargcount
            for position, value in enumerate(slots(link, code)):
                handle = self._finder.find(value)
                if handle is not None:
                    return handle, position < arguments
        return None, False

    def _waited_by_task(
        self, links: Sequence[tuple[Any, CodeType]], target: Any, target_ref: Ref | None
    ) -> tuple[Handle | None, str | None]:
        kind = target_ref[0] if target_ref is not None else None
        if kind in _IO_KINDS:
            op = WRITE if kind in ("tx", "net_writable") else READ
            handle = self._finder.find(target)
            if handle is not None:
                return handle, _op_of(links, op)
        for link, code in reversed(links):
            library = self._library(code)
            if library in _NETWORK_LIBRARIES or (kind in _IO_KINDS and library in _PRIMITIVES):
                handle = self._first_in(slots(link, code))
                if handle is not None:
                    return handle, _op_of(links, READ)
            elif library not in _PRIMITIVES:
                break
        return None, None

    def _first_in(self, values: Sequence[Any]) -> Handle | None:
        for value in values:
            handle = self._finder.find(value)
            if handle is not None:
                return handle
        return None

    def _library(self, code: CodeType) -> str:
        found = self._libraries.get(id(code))
        if found is None:
            found = self._libraries[id(code)] = library_of(code.co_filename)
        return found

    # ------------------------------------------------------------------ threads

    def _see_thread(self, ref: Ref, views: Sequence[View], wait: ThreadWait | None) -> None:
        waits_on = None
        if wait is not None and wait.socket is not None and not _wakes_a_loop(views):
            is_listener = wait.op == "accept"
            waits_on = weakref.ref(wait.socket) if is_listener else self._finder.find(wait.socket)
        shape = tuple([id(view.code) for view in views])
        serves = waits_on
        if self._barren.get(shape, 0) < _MAX_BARREN:
            serves = self._served_by_thread(views) or waits_on
            if serves is None:
                self._barren[shape] = self._barren.get(shape, 0) + 1
        if waits_on is not None or serves is not None:
            op = wait.op if wait is not None else None
            self._sightings[ref] = Sighting(waits_on, op, serves, True)

    def _served_by_thread(self, views: Sequence[View]) -> Handle | None:
        for view in reversed(views):
            count = min(view.code.co_argcount, _MAX_ARGUMENTS)
            for name in view.code.co_varnames[:count]:
                handle = self._finder.find(view.variable_or_none(name))
                if handle is not None:
                    return handle
        return None

    # ------------------------------------------------------------------ after the cut

    def build(self, captured: dict[Ref, Sighting], graph: Graph, seen: Seen) -> None:
        table = socket_table.tcp_sockets()
        own = socket_table.own_socket_inodes(_LOOK_AT_FILES_S) if table else set()
        parents = socket_table.parents_socket_inodes(_LOOK_AT_FILES_S) if table else set()
        mine = [
            row
            for inode, row in table
            if inode in own and (inode not in parents or row.state == "listening")
        ]
        self._rows = {row.pair: row for _, row in table}
        self._listening = {row.pair.local.port for row in mine if row.state == "listening"}
        self._ask_for_progress(captured, mine, graph)
        self._build_all(graph, table, mine)
        self._build_sightings(captured, graph)
        self._resolver.forget_the_dead()
        self._rows, self._progress = {}, {}

    def _ask_for_progress(
        self,
        captured: dict[Ref, Sighting],
        mine: Sequence[socket_table.KernelSocket],
        graph: Graph,
    ) -> None:
        """Those in use first: there may not be time for all."""
        used = [
            self._resolver.pair(handle)
            for sighting in list(captured.values())
            if sighting.op != "accept"
            for handle in (sighting.waits_on, sighting.serves)
        ]
        others = [row.pair for row in mine if row.state != "listening"]
        pairs = [p for p in dict.fromkeys([*used, *others]) if p is not None and p.family == "tcp"]
        if pairs:
            self._progress, untold = tcp_progress.ask(pairs, _ASK_FOR_PROGRESS_S)
            graph.node("process", "self", tcp_progress_untold=untold)

    def _build_sightings(self, captured: dict[Ref, Sighting], graph: Graph) -> None:
        served: dict[Pair, list[tuple[Ref, Sighting]]] = {}
        for ref, sighting in list(captured.items()):
            if sighting.op == "accept":
                _build_listener(graph, graph.ref(ref), sighting.waits_on)
                continue
            waited = self._resolver.pair(sighting.waits_on)
            if waited is not None and not _is_merely_sending(ref, sighting):
                self._build_wait(graph, graph.ref(ref), waited, sighting.op)
            pair = self._resolver.pair(sighting.serves)
            if pair is not None:
                self._end(graph, pair)
                if pair != waited or sighting.op != READ:
                    served.setdefault(pair, []).append((ref, sighting))
        for pair, servers in served.items():
            self._build_servers(graph, pair, servers)

    def _build_all(
        self,
        graph: Graph,
        table: list[tuple[int, socket_table.KernelSocket]],
        mine: Sequence[socket_table.KernelSocket],
    ) -> None:
        """Every connection of this process, so that whoever waits for one finds it, and those
        that wait to be accepted. A connection that a forked child has in common with its parent
        is the parent's, unless somebody in the child was seen to use it (_build_sightings)."""
        listeners = {
            row.pair.local.port: graph.node(
                "net_accept",
                row.pair.local.text,
                f"accept {row.pair.local.text}",
                local=row.pair.local.text,
                not_accepted=row.unread_bytes,
            )
            for row in mine
            if row.state == "listening"
        }
        for row in mine:
            if row.state != "listening":
                self._end(graph, row.pair)
        for inode, row in table:
            if inode == 0 and row.state == "established" and row.pair.local.port in listeners:
                end = self._end(graph, row.pair)
                graph.node_by_id(end, "socket", None, {"state": "not accepted"})
                graph.edge(end, listeners[row.pair.local.port], "needs", relation="accepted by")

    def _build_servers(self, graph: Graph, pair: Pair, servers: list[tuple[Ref, Sighting]]) -> None:
        given = [server for server in servers if server[1].was_given]
        for ref, _ in given or servers:
            end = pair.id(self._scope)
            graph.edge(end, graph.ref(ref), "needs", relation="served by", inferred="its stack")

    def _build_wait(self, graph: Graph, node: str, pair: Pair, op: str | None) -> None:
        self._end(graph, pair)
        waited = graph.node_by_id(
            pair.id(self._scope) + ":waited",
            "socket",
            f"{pair.family} to {pair.remote.text}",
            {"local": pair.local.text, "remote": pair.remote.text, "role": "waited for"}
            | self._told(pair),
        )
        graph.edge(node, waited, "needs", op=op)
        graph.edge(waited, pair.peer_id(self._scope), "needs", peer=pair.remote.text)

    def _end(self, graph: Graph, pair: Pair) -> str:
        """The node of this process's end of a connection."""
        row = self._rows.get(pair)
        attrs: dict[str, Any] = {
            "family": pair.family,
            "local": pair.local.text,
            "remote": pair.remote.text,
            "wait": "any",
        }
        if row is not None:
            attrs |= {
                "state": row.state,
                "unread_bytes": row.unread_bytes,
                "unsent_bytes": row.unsent_bytes,
                "path": row.path,
            }
        label = f"{pair.family} {pair.local.text} > {pair.remote.text}"
        return graph.node_by_id(pair.id(self._scope), "socket", label, attrs | self._told(pair))

    def _told(self, pair: Pair) -> dict[str, Any]:
        progress = self._progress.get(pair)
        is_accepted = pair.family == "tcp" and pair.local.port in self._listening
        return (progress._asdict() if progress else {}) | {"accepted": is_accepted or None}


def _build_listener(graph: Graph, node: str, handle: Handle | None) -> None:
    """Who waits for connections waits for anybody: there is no other end yet."""
    listener = handle() if isinstance(handle, weakref.ref) else None
    try:
        address = ip_address(listener.getsockname()) if listener is not None else None
    except OSError:
        address = None
    where = address.text if address is not None else None
    key = where or f"by-{node.rpartition('/')[2]}"
    listening = graph.node("net_accept", key, f"accept {where or ''}".strip(), local=where)
    graph.edge(node, listening, "needs", op="accept")


def _is_merely_sending(ref: Ref, sighting: Sighting) -> bool:
    """Whether a thread was seen in a send that has nothing to wait for."""
    return ref[0] == "thread" and sighting.op == WRITE and has_room(sighting.waits_on)


def _wakes_a_loop(views: Sequence[View]) -> bool:
    """Whether the thread writes the one byte by which a loop is woken from another thread."""
    return views[0].code.co_name in ("_write_to_self", "wakeup_thread_and_signal_safe")


def _op_of(links: Sequence[tuple[Any, CodeType]], otherwise: str) -> str:
    """Whether the innermost function is one of those that wait to write."""
    for _, code in reversed(links[-4:]):
        if code.co_name in _WRITERS:
            return WRITE
        if code.co_name in _READERS:
            return READ
    return otherwise


def library_of(file: str) -> str:
    """The top-level package that a file of an installed library belongs to; "" for others."""
    for mark in ("/site-packages/", "/dist-packages/"):
        _, found, rest = file.partition(mark)
        if found:
            return rest.partition("/")[0].removesuffix(".py")
    for name in _PRIMITIVES:
        if f"/{name}/" in file or file.endswith(f"/{name}.py"):
            return name
    return ""
