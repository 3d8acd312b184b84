"""Processes, task groups, tasks and threads as a tree.

Decides who is shown under whom: a task under the group that waits for it, else under the task
that started it, else under its process; a cycle is broken where it is met. Refuses to know SQL.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .nodes import Node


@dataclass(frozen=True, slots=True)
class Branch:
    """One line of the tree."""

    depth: int
    """0: hangs from the process itself."""
    id: str
    kind: str
    name: str
    state: str | None
    location: str | None
    function: str | None


@dataclass(frozen=True, slots=True)
class ProcessTree:
    """One process; its branches in the order of the tree, each after the one it hangs from."""

    proc_key: str
    process: str
    count: int
    """Of tasks and threads."""
    branches: list[Branch]


@dataclass(frozen=True, slots=True)
class Tree:
    """All processes of a snapshot, or one."""

    snapshot_id: int
    processes: list[ProcessTree]


Link = tuple[str, str]


def build(
    snapshot_id: int, nodes: Sequence[Node], spawned: Iterable[Link], needs: Iterable[Link]
) -> Tree:
    """`spawned` are (parent, child); `needs` are (waiter, needed)."""
    by_id = {node.id: node for node in nodes if node.kind != "process"}
    parents = _parents(by_id, spawned, needs)
    children: dict[str, list[Node]] = {}
    tops: dict[str, list[Node]] = {node.proc_key: [] for node in nodes}
    safe: set[str] = set()
    for node in by_id.values():
        if _leads_out(parents, node.id, safe):
            children.setdefault(parents[node.id], []).append(node)
        else:
            parents.pop(node.id, None)
            tops[node.proc_key].append(node)
    names = {node.proc_key: node.process for node in nodes}
    return Tree(
        snapshot_id,
        [_process(key, names[key], tops[key], children) for key in sorted(tops)],
    )


def _parents(
    by_id: dict[str, Node], spawned: Iterable[Link], needs: Iterable[Link]
) -> dict[str, str]:
    parents: dict[str, str] = {}
    for parent, child in spawned:
        if parent in by_id and child in by_id:
            parents.setdefault(child, parent)
    for waiter, needed in needs:
        if waiter not in by_id or needed not in by_id:
            continue
        if by_id[waiter].kind == "joinset":
            parents[needed] = waiter  # nearer than whoever started it
        elif by_id[needed].kind == "joinset":
            parents.setdefault(needed, waiter)
    return parents


def _leads_out(parents: dict[str, str], node_id: str, safe: set[str]) -> bool:
    """Whether the node has a parent and going up from it ends. `safe` are known to end."""
    if node_id not in parents:
        return False
    path: list[str] = []
    seen = set()
    here: str | None = node_id
    while here is not None and here not in safe:
        if here in seen:
            return False
        seen.add(here)
        path.append(here)
        here = parents.get(here)
    safe.update(path)
    return True


def _process(
    proc_key: str, name: str, tops: list[Node], children: dict[str, list[Node]]
) -> ProcessTree:
    branches: list[Branch] = []
    todo = [(0, node) for node in reversed(tops)]
    while todo:
        depth, node = todo.pop()
        place = node.place
        branches.append(
            Branch(
                depth,
                node.id,
                node.kind,
                node.name,
                node.state,
                str(place) or None,
                place.function,
            )
        )
        todo.extend((depth + 1, child) for child in reversed(children.get(node.id, [])))
    actors = sum(branch.kind in ("task", "thread") for branch in branches)
    return ProcessTree(proc_key, name, actors, branches)
