"""Sockets in the wait graph: what a connection lets one process wait for in another.

Decides the two roles of a socket. A local task that reads waits for the *peer* to write; the
peer's socket is then asked who will write there. So a socket that is mirrored by its other end
becomes two nodes with one id: `index[id]`, where local waiters arrive and which needs the other
end, and its *outlet*, where the other end arrives and which needs the tasks that serve it.
An agent may tell the roles apart itself: what waiters arrive at then has an id of its own, the
socket's with ":waited" after it.

A task that itself waits, however indirectly, for the same connection is not about to write to
it: both ends listening to each other is an idle conversation, not a deadlock. Such an edge is
left out and remembered in `idle`. Refuses to know addresses: mirrors are edges between sockets.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .waits import Edge, WaitGraph, build

SEARCH_LIMIT = 2000
"""How many nodes of a process are looked at to tell whether a task waits for a connection."""

WAITED = ":waited"


@dataclass(frozen=True, slots=True)
class Wires:
    """A wait graph in which sockets have their roles."""

    graph: WaitGraph
    idle: dict[int, tuple[int, ...]]
    """Outlet to the tasks behind it that listen to the same connection."""
    outlets: dict[str, int]
    """Id of a socket to its second node."""


def untangle(
    edges: Iterable[Edge],
    any_ids: Iterable[str] = (),
    limited_ids: Iterable[str] = (),
    writers: frozenset[str] = frozenset(),
) -> Wires:
    """The graph of `edges`. `writers` are ids of tasks that wait to write, not to read."""
    mirrors: list[Edge] = []
    serves: list[Edge] = []

    def plain() -> Iterator[Edge]:
        for edge in edges:
            if not edge[0].startswith("socket:"):
                yield edge
            elif edge[1].startswith("socket:"):
                mirrors.append(edge)
            else:
                serves.append(edge)

    alternatives = frozenset(any_ids)
    graph = build(plain(), alternatives, limited_ids)
    outlets: dict[str, int] = {}
    for src, dst, inferred in mirrors:
        graph.node(dst)
        if dst not in outlets:
            outlets[dst] = graph.extra(dst)
            if dst in alternatives:
                graph.any.add(outlets[dst])
        graph.connect(graph.node(src), outlets[dst], inferred)
    _drop_repeated(graph)
    return Wires(graph, _connect_servers(graph, outlets, serves, writers), outlets)


STREAMS = ("rx:", "tx:", "net_readable:", "net_writable:")


def _drop_repeated(graph: WaitGraph) -> None:
    """A wait at a stream that lies on a socket is told twice: the socket knows who is behind."""
    sockets = {n for n, node_id in enumerate(graph.ids) if node_id.startswith("socket:")}
    if not sockets:
        return
    for n, needs in enumerate(graph.needs):
        if len(needs) > 1 and not sockets.isdisjoint(needs):
            graph.needs[n] = [
                m for m in needs if graph.needs[m] or not graph.ids[m].startswith(STREAMS)
            ]


def _connect_servers(
    graph: WaitGraph, outlets: dict[str, int], serves: list[Edge], writers: frozenset[str]
) -> dict[int, tuple[int, ...]]:
    idle: dict[int, tuple[int, ...]] = {}
    wanted: list[tuple[int, int, str | None]] = []
    for src, dst, inferred in serves:
        inlet, server = graph.node(src), graph.node(dst)
        outlet = outlets.get(src)
        inlets = {inlet, graph.index.get(src + WAITED, inlet)}
        if outlet is not None and dst not in writers and _waits_for(graph, server, inlets):
            idle[outlet] = (*idle.get(outlet, ()), server)
        else:
            wanted.append((inlet if outlet is None else outlet, server, inferred))
    for src_n, dst_n, inferred in wanted:
        graph.connect(src_n, dst_n, inferred)
    return idle


def _waits_for(graph: WaitGraph, start: int, inlets: set[int]) -> bool:
    """Whether `start` reaches an inlet without leaving its process through another socket."""
    seen = {start}
    todo = [start]
    while todo and len(seen) < SEARCH_LIMIT:
        for there in graph.needs[todo.pop()]:
            if there in inlets:
                return True
            if there not in seen and not graph.ids[there].startswith("socket:"):
                seen.add(there)
                todo.append(there)
    return False
