"""One snapshot in the formats of other tools.

Decides what each format shows: graphs (dot, graphml, mermaid) hold the wait graph, json
everything, perfetto and speedscope the stacks of tasks and threads. Refuses to know who asks.
Names come from strangers and are escaped by the rules of each format.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from ..core.attributes import attributes_of
from ..core.nodes import Node
from ..core.phrases import KIND_WORDS
from ..core.snapshot_graph import SnapshotGraph
from ..errors import BadRequest
from .graph_reads import GraphReads, node_of

MAX_DRAWN = 5_000
"""More nodes than this no tool draws: an export for drawing is refused, with what to do."""


def export(reads: GraphReads, snapshot: SnapshotGraph, wanted: str) -> dict[str, Any]:
    """{"content_type", "text"} of the snapshot in a format. Raises BadRequest."""
    if wanted not in FORMATS:
        raise BadRequest(f"there is no format {wanted!r}; there are: {', '.join(sorted(FORMATS))}")
    content_type, write = FORMATS[wanted]
    return {"content_type": content_type, "text": write(reads, snapshot)}


def _drawn(
    reads: GraphReads, snapshot: SnapshotGraph
) -> tuple[list[Node], list[tuple[str, str, str]]]:
    edges = [
        (row[0], row[1], row[2])
        for row in reads.rows(
            "SELECT src_id, dst_id, kind FROM main.edges WHERE snapshot_id = ? AND kind = 'needs'"
            " ORDER BY 1, 2",
            (snapshot.snapshot_id,),
        )
    ]
    ids = list(dict.fromkeys(i for src, dst, _ in edges for i in (src, dst)))
    if len(ids) > MAX_DRAWN:
        raise BadRequest(
            f"the wait graph has {len(ids)} nodes, more than can be drawn ({MAX_DRAWN})",
            hint="use --format json, or ask for a part of it with SQL",
        )
    return list(snapshot.nodes(ids).values()), edges


def _caption(node: Node) -> list[str]:
    kind = KIND_WORDS.get(node.kind, node.kind)
    return [line for line in (f"{kind} {node.name}", str(node.place)) if line]


def _in_deadlock(snapshot: SnapshotGraph) -> set[str]:
    return {snapshot.graph.ids[n] for d in snapshot.deadlocks for n in d.members}


def _dot(reads: GraphReads, snapshot: SnapshotGraph) -> str:
    nodes, edges = _drawn(reads, snapshot)
    red = _in_deadlock(snapshot)
    lines = ["digraph waits {", "  node [shape=box];"]
    for number, process in enumerate(sorted({n.proc_key for n in nodes})):
        lines += [f"  subgraph cluster_{number} {{", f"    label={_quoted(process or 'unknown')};"]
        for node in nodes:
            if node.proc_key == process:
                color = ", color=red" if node.id in red else ""
                label = "\\n".join(_escaped(part) for part in _caption(node))
                lines.append(f'    {_quoted(node.id)} [label="{label}"{color}];')
        lines.append("  }")
    for src, dst, _ in edges:
        color = " [color=red]" if src in red and dst in red else ""
        lines.append(f"  {_quoted(src)} -> {_quoted(dst)}{color};")
    return "\n".join([*lines, "}", ""])


def _escaped(text: str) -> str:
    return _plain(text).replace("\\", "\\\\").replace('"', '\\"')


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def _graphml(reads: GraphReads, snapshot: SnapshotGraph) -> str:
    nodes, edges = _drawn(reads, snapshot)
    names = ("kind", "name", "process", "state", "location")
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">',
        *(
            f'  <key id="{name}" for="node" attr.name="{name}" attr.type="string"/>'
            for name in names
        ),
        '  <graph edgedefault="directed">',
    ]
    for node in nodes:
        values = (node.kind, node.name, node.proc_key, node.state, str(node.place))
        data = "".join(
            f'<data key="{name}">{escape(_plain(value))}</data>'
            for name, value in zip(names, values, strict=True)
            if value
        )
        lines.append(f"    <node id={quoteattr(_plain(node.id))}>{data}</node>")
    for src, dst, _ in edges:
        lines.append(f"    <edge source={quoteattr(_plain(src))} target={quoteattr(_plain(dst))}/>")
    return "\n".join([*lines, "  </graph>", "</graphml>", ""])


MERMAID_EDGES = 500
MERMAID_CHARS = 50_000
"""So much mermaid draws unless its page allows more: `maxEdges` and `maxTextSize`."""


def _mermaid(reads: GraphReads, snapshot: SnapshotGraph) -> str:
    nodes, edges = _drawn(reads, snapshot)
    number = {node.id: f"n{i}" for i, node in enumerate(nodes)}
    red = _in_deadlock(snapshot)
    lines = ["flowchart LR"]
    for node in nodes:
        text = "<br/>".join(
            _plain(part).replace("&", "#amp;").replace('"', "#quot;").replace("<", "#lt;")
            for part in [*_caption(node), node.proc_key]
        )
        lines.append(f'  {number[node.id]}["{text}"]')
    lines += [f"  {number[src]} --> {number[dst]}" for src, dst, _ in edges]
    if caught := [number[i] for i in number if i in red]:
        lines += [
            "  classDef deadlock stroke:#c00,stroke-width:2px",
            f"  class {','.join(caught)} deadlock",
        ]
    text = "\n".join([*lines, ""])
    if len(edges) > MERMAID_EDGES or len(text) > MERMAID_CHARS:
        return (
            f"%% {len(edges)} edges, {len(text)} characters: mermaid refuses more than"
            f" {MERMAID_EDGES} edges or {MERMAID_CHARS} characters, unless its page sets maxEdges"
            " and maxTextSize; dot has no such limit\n" + text
        )
    return text


def _json(reads: GraphReads, snapshot: SnapshotGraph) -> str:
    wanted = (snapshot.snapshot_id,)
    tables: dict[str, Any] = {"snapshot_id": snapshot.snapshot_id}
    for table in ("snapshots", "snapshot_processes", "nodes", "edges", "unresolved_edges"):
        rows = [
            dict(row)
            for row in reads.rows(f"SELECT * FROM main.{table} WHERE snapshot_id = ?", wanted)
        ]
        for row in rows:
            del row["snapshot_id"]
            if "attrs_json" in row:
                row["attrs"] = attributes_of(row.pop("attrs_json"))
        tables[table] = rows
    tables["snapshot"] = tables.pop("snapshots")[0]
    return json.dumps(tables, ensure_ascii=False, indent=1) + "\n"


def _actors(reads: GraphReads, snapshot: SnapshotGraph) -> list[Node]:
    rows = reads.rows(
        "SELECT id, kind, process, proc_key, label, attrs_json FROM main.nodes"
        " WHERE snapshot_id = ? AND kind IN ('task', 'thread') ORDER BY proc_key, id",
        (snapshot.snapshot_id,),
    )
    return [node_of(row) for row in rows]


def _speedscope(reads: GraphReads, snapshot: SnapshotGraph) -> str:
    """One sampled profile a process: each task and thread is one sample of weight one."""
    frames: dict[str, int] = {}
    profiles: dict[str, list[list[int]]] = {}
    for node in _actors(reads, snapshot):
        stack = [f"{node.kind} {node.name}"] if not node.stack else node.stack
        sample = [frames.setdefault(frame, len(frames)) for frame in stack]
        profiles.setdefault(node.proc_key, []).append(sample)
    return json.dumps(
        {
            "$schema": "https://www.speedscope.app/file-format-schema.json",
            "name": f"snapshot {snapshot.snapshot_id}",
            "exporter": "peeps",
            "shared": {"frames": [{"name": frame} for frame in frames]},
            "profiles": [
                {
                    "type": "sampled",
                    "name": process,
                    "unit": "none",
                    "startValue": 0,
                    "endValue": len(samples),
                    "samples": samples,
                    "weights": [1] * len(samples),
                }
                for process, samples in profiles.items()
            ],
        }
    )


def _perfetto(reads: GraphReads, snapshot: SnapshotGraph) -> str:
    """Chrome's trace format: a track for each task or thread, its stack as nested slices."""
    events: list[dict[str, Any]] = []
    pids: dict[str, int] = {}
    known = {p.proc_key: p.pid for p in snapshot.processes}
    for number, node in enumerate(_actors(reads, snapshot), 1):
        if node.proc_key not in pids:
            # Two containers may both have pid 1: a number of our own tells them apart.
            pids[node.proc_key] = len(pids) + 1
            name = f"{node.proc_key} (pid {known.get(node.proc_key)})"
            events.append(_named("process_name", pids[node.proc_key], 0, name))
        pid = pids[node.proc_key]
        events.append(_named("thread_name", pid, number, f"{node.kind} {node.name}"))
        depth = len(node.stack) + 1
        for level, frame in enumerate([f"{node.state or 'unknown'}", *node.stack]):
            events.append(
                {
                    "ph": "X",
                    "name": frame,
                    "pid": pid,
                    "tid": number,
                    "ts": level,
                    "dur": 2 * (depth - level) * 10,
                    "args": {"id": node.id},
                }
            )
    return json.dumps({"traceEvents": events, "displayTimeUnit": "ms"})


def _named(what: str, pid: int, tid: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": what, "pid": pid, "tid": tid, "args": {"name": name}}


FORMATS: Mapping[str, tuple[str, Callable[[GraphReads, SnapshotGraph], str]]] = {
    "dot": ("text/vnd.graphviz", _dot),
    "graphml": ("application/graphml+xml", _graphml),
    "mermaid": ("text/vnd.mermaid", _mermaid),
    "json": ("application/json", _json),
    "perfetto": ("application/json", _perfetto),
    "speedscope": ("application/json", _speedscope),
}
