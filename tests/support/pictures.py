"""The graph of a snapshot for tests: chains of waits looked for in it, and text to read.

A step of a chain is `[kind, name, process]`, the last two optional. `kind` may be alternatives
("task|thread") or "*"; a kind with a plus stands for one or more such nodes in a row. `name` and
`process` are patterns as in a shell; a name fits if a label, a name, or a function on its stack
fits. Each node of a chain needs the next one.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

Step = Sequence[str]


@dataclass(frozen=True)
class Box:
    """A node."""

    id: str
    kind: str
    label: str | None
    process: str
    attrs: dict[str, Any] = field(hash=False)

    @property
    def state(self) -> str:
        return str(self.attrs.get("state", ""))

    @property
    def words(self) -> set[str]:
        """Everything that it may be called by."""
        functions = [str(self.attrs.get("ctx.function") or "")]
        functions += [line.partition(" (")[0] for line in self.attrs.get("stack") or ()]
        short = [name.rpartition(".")[2] for name in functions]
        return {str(self.label), str(self.attrs.get("name")), *functions, *short} - {"", "None"}

    def fits(self, step: Step) -> bool:
        """Whether it can be that step of a chain."""
        kind, name, process = [*step, "*", "*"][:3]
        kinds = kind.removesuffix("+").split("|")
        return (
            ("*" in kinds or self.kind in kinds)
            and (name == "*" or any(fnmatchcase(word, name) for word in self.words))
            and (process == "*" or fnmatchcase(self.process, process))
        )

    def __str__(self) -> str:
        said = [self.kind, repr(self.label or self.attrs.get("name") or "")]
        if function := self.attrs.get("ctx.function"):
            said.append(f"in {function}:{self.attrs.get('ctx.line')}")
        for name in ("state", "cut", "inferred"):
            if self.attrs.get(name):
                said.append(f"{name}={self.attrs[name]}")
        return f"{' '.join(said)} [{self.process}] <{self.id}>"


class Picture:
    """One point-in-time view of all processes."""

    def __init__(
        self, nodes: Iterable[Box], edges: Iterable[tuple[str, str, str, dict[str, Any]]]
    ) -> None:
        self.nodes = {node.id: node for node in nodes}
        self.edges = list(edges)
        self.needs: dict[str, list[str]] = {}
        for src, dst, kind, _ in self.edges:
            if kind == "needs":
                self.needs.setdefault(src, []).append(dst)

    @classmethod
    def of_replies(cls, replies: Iterable[dict[str, Any]]) -> "Picture":
        """From messages of the protocol."""
        nodes, edges = [], []
        for reply in replies:
            graph = reply.get("graph") or {"nodes": (), "edges": ()}
            for row in graph["nodes"]:
                attrs = _attributes(row)
                nodes.append(Box(row["id"], row["kind"], row["label"], reply["process"], attrs))
            edges += [(e["src"], e["dst"], e["kind"], _attributes(e)) for e in graph["edges"]]
        return cls(nodes, edges)

    @classmethod
    def of_database(cls, path: Path, snapshot_id: int) -> "Picture":
        """From what peepsd stored."""
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            rows = db.execute(
                "select id, kind, label, process, attrs_json from nodes where snapshot_id = ?",
                (snapshot_id,),
            )
            boxes = [Box(*row[:4], json.loads(row[4])) for row in rows]
            edges = db.execute(
                "select src_id, dst_id, kind, attrs_json from edges where snapshot_id = ?",
                (snapshot_id,),
            )
            return cls(boxes, [(a, b, kind, json.loads(attrs)) for a, b, kind, attrs in edges])

    def find(self, chain: Sequence[Step], closes: bool = False) -> list[Box] | None:
        """Nodes that are that chain; with `closes`, the last needs an earlier one."""
        for start in self.nodes.values():
            if start.fits(chain[0]) and (path := self._follow([start], chain, closes)):
                return path
        return None

    def _follow(self, path: list[Box], chain: Sequence[Step], closes: bool) -> list[Box] | None:
        here, step = path[-1], chain[0]
        onward = [self.nodes[i] for i in self.needs.get(here.id, ()) if i in self.nodes]
        if step[0].endswith("+"):
            for there in onward:
                if there not in path and there.fits(step):
                    found = self._follow([*path, there], chain, closes)
                    if found:
                        return found
        if len(chain) == 1:
            return path if not closes or any(there in path for there in onward) else None
        for there in onward:
            if there not in path and there.fits(chain[1]):
                found = self._follow([*path, there], chain[1:], closes)
                if found:
                    return found
        return None

    def edges_between(self, src: Step, dst: Step) -> list[tuple[Box, Box]]:
        """Every `needs` edge whose ends are those steps."""
        return [
            (self.nodes[a], self.nodes[b])
            for a, targets in self.needs.items()
            for b in targets
            if a in self.nodes and b in self.nodes
            if self.nodes[a].fits(src) and self.nodes[b].fits(dst)
        ]

    def dangling(self) -> list[tuple[str, str, str]]:
        """Edges with an end that is no node of any process."""
        return [
            (src, dst, kind)
            for src, dst, kind, _ in self.edges
            if src not in self.nodes or dst not in self.nodes
        ]

    def __str__(self) -> str:
        lines = []
        for node in sorted(self.nodes.values(), key=lambda n: (n.process, n.kind, n.id)):
            lines.append(str(node))
            for src, dst, kind, attrs in self.edges:
                if src == node.id:
                    target = self.nodes.get(dst, dst)
                    how = f"  ({attrs['inferred']})" if attrs.get("inferred") else ""
                    lines.append(f"    {kind} -> {target}{how}")
        return "\n".join(lines)


def _attributes(row: dict[str, Any]) -> dict[str, Any]:
    if "attrs_json" in row:
        return dict(json.loads(row["attrs_json"]))
    return dict(row.get("attrs") or {})
