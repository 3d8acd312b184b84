"""Nodes, edges and names that the application registers itself.

Decides how long they live: until removed, and where it can be, no longer than the object they
stand for (held weakly). Cheap: a dictionary entry. Refuses to know the agent's thread; it is
read once a snapshot.
"""

import itertools
import sys
import weakref
from collections.abc import Mapping
from typing import Any

from .graph import Graph, Ref

_serial = itertools.count(1)


class Node:
    """A node of the application's own. `remove()` it, or use it as a context manager."""

    __slots__ = ("__weakref__", "_registry", "attrs", "key", "kind", "label")

    def __init__(
        self, registry: "Registry", kind: str, label: str, key: str, attrs: dict[str, Any]
    ) -> None:
        self._registry = registry
        self.kind = kind
        self.label = label
        self.key = key
        self.attrs = attrs

    @property
    def ref(self) -> Ref:
        return (self.kind, self.key)

    def set(self, **attrs: Any) -> None:
        """Change or add attributes: numbers, short texts, booleans."""
        self.attrs = {**self.attrs, **plain(attrs)}

    def remove(self) -> None:
        """Take it out of the graph, with its edges. Twice is once."""
        self._registry.remove_node(self)

    def __enter__(self) -> "Node":
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


class Edge:
    """An edge of the application's own, between two of its nodes."""

    __slots__ = ("__weakref__", "_registry", "attrs", "dst", "kind", "src")

    def __init__(
        self, registry: "Registry", src: Ref, dst: Ref, kind: str, attrs: dict[str, Any]
    ) -> None:
        self._registry = registry
        self.src = src
        self.dst = dst
        self.kind = kind
        self.attrs = attrs

    def remove(self) -> None:
        """Take it out of the graph. Twice is once."""
        self._registry.remove_edge(self)

    def __enter__(self) -> "Edge":
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


class Registry:
    """What the application told about itself. Safe to use from any thread."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._edges: dict[int, Edge] = {}
        self._names: dict[int, tuple[str, Any]] = {}

    def add_node(self, kind: str, label: str, of: object = None, **attrs: Any) -> Node:
        """A node; `of` an object: it goes when the object goes."""
        node = Node(self, str(kind), str(label), f"app-{next(_serial)}", plain(attrs))
        self._nodes[node.key] = node
        if of is not None:
            _when_gone(of, node.remove)
        return node

    def add_edge(self, src: Ref, dst: Ref, kind: str = "needs", **attrs: Any) -> Edge:
        """An edge between two references."""
        edge = Edge(self, src, dst, str(kind), plain(attrs))
        self._edges[id(edge)] = edge
        return edge

    def remove_node(self, node: Node) -> None:
        if self._nodes.pop(node.key, None) is None:
            return
        for edge in list(self._edges.values()):
            if node.ref in (edge.src, edge.dst):
                self.remove_edge(edge)

    def remove_edge(self, edge: Edge) -> None:
        self._edges.pop(id(edge), None)

    def set_name(self, obj: object, name: str) -> None:
        """Name an object. Kept as long as the object lives; an object that cannot be referred
        to weakly keeps its name until another object takes its address, or it is named again."""
        key = id(obj)
        _, guard = self._names.pop(key, ("", None))
        if guard is not None:
            guard.detach()
        guard = _when_gone(obj, lambda: self._names.pop(key, None))
        self._names[key] = (str(name), guard)

    def names(self) -> Mapping[int, str]:
        """Names by id of the object."""
        return {key: name for key, (name, _) in list(self._names.items())}

    def build(self, graph: Graph) -> None:
        """Add what is registered to a graph."""
        for node in list(self._nodes.values()):
            graph.node_by_id(
                graph.id(node.kind, node.key),
                node.kind,
                node.label,
                {"registered": True, **node.attrs},
            )
        for edge in list(self._edges.values()):
            graph.edge(graph.ref(edge.src), graph.ref(edge.dst), edge.kind, **edge.attrs)

    def clear(self) -> None:
        self._nodes.clear()
        self._edges.clear()
        self._names.clear()


def plain(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes as JSON can hold them; anything but numbers, texts and None by its type name."""
    return {
        str(name): value
        if value is None or type(value) in (bool, int, float, str)
        else type(value).__name__
        for name, value in attrs.items()
    }


def _when_gone(obj: object, action: Any) -> Any:
    try:
        finalizer = weakref.finalize(obj, action)
    except TypeError:
        return None
    finalizer.atexit = False
    return finalizer


def current_ref() -> Ref | None:
    """The node of the task that calls, or of the thread if there is no task."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None:
        try:
            task = asyncio.current_task()
        except RuntimeError:
            task = None
        if task is not None:
            from .collectors.asyncio_waits import asyncio_task_ref

            return asyncio_task_ref(task)
    trio = sys.modules.get("trio")
    if trio is not None:
        try:
            return trio_task_ref(trio.lowlevel.current_task())
        except (RuntimeError, AttributeError):
            pass
    from . import unpatched

    return ("thread", unpatched.get_ident())


def trio_task_ref(task: Any) -> Ref:
    """The node of a trio task; its counter is never used twice."""
    return ("task", (id(task), f"Task-t{getattr(task, '_counter', 0)}", id(task.coro)))
