"""From what people type to the node they mean.

Decides the order in which a text is taken for an id, a process, a name or a part of a name, and
says which there are when it fits several. Refuses to know what is asked about the node.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from ..core.nodes import Node
from ..core.snapshot_graph import SnapshotGraph
from ..errors import Ambiguous, NotFound
from .graph_reads import GraphReads, node_of

CHOICES = 10
ACTORS_LIMIT = 200_000

_NAME = "coalesce(json_extract(n.attrs_json, '$.name'), n.label, '')"


_FITS = (
    f"{_NAME} = ?2",
    f"substr({_NAME}, -length(?2) - 1) = '.' || ?2",  # module.function, as trio names tasks
    "substr(n.id, -length(?2)) = ?2",
    "n.kind IN ('task', 'thread') AND json_extract(n.attrs_json, '$.\"ctx.function\"') = ?2",
    f"instr({_NAME}, ?2)",
)
"""How a text may fit a node, the closest first."""


@dataclass(frozen=True, slots=True)
class Target:
    """A node, or a process with the nodes in it that could wait."""

    node_ids: list[str]
    process: str | None = None
    """proc_key, if a process was meant."""


def resolve(reads: GraphReads, snapshot: SnapshotGraph, text: str) -> Target:
    """What `text` means in a snapshot: a node's id, a process (name, proc_key or pid), a node's
    name, PROCESS/NAME, or a part of a name. Raises NotFound, or Ambiguous if it fits several.
    """
    snapshot_id = snapshot.snapshot_id
    if text in snapshot.graph.index or reads.nodes(snapshot_id, [text]):
        return Target([text])
    if (process := find_process(snapshot, text)) is not None:
        return Target(_waiting_in(reads, snapshot_id, process), process)
    owner, _, name = text.rpartition("/")
    owner_key = find_process(snapshot, owner) if owner else None
    wanted = name if owner_key else text
    for condition in _FITS:
        found = _matching(reads, snapshot_id, condition, wanted, owner_key)
        if len(found) == 1:
            return Target([found[0]["id"]])
        if found:
            return Target([_only_waiting(snapshot, found, text)])
    raise NotFound(
        f"there is no process, task or other node {text!r} in snapshot {snapshot_id}",
        hint="`peeps tree` shows what there is",
    )


def find_process(snapshot: SnapshotGraph, text: str) -> str | None:
    """The proc_key of the process that `text` names. Raises Ambiguous if there are several."""
    exact = [p for p in snapshot.processes if p.proc_key == text]
    found = exact or [p for p in snapshot.processes if text in (p.process, str(p.pid))]
    if len(found) > 1:
        keys = ", ".join(p.proc_key for p in found[:CHOICES])
        raise Ambiguous(f"{text!r} is {len(found)} processes; choose one: {keys}")
    return found[0].proc_key if found else None


def _matching(
    reads: GraphReads, snapshot_id: int, condition: str, text: str, process: str | None
) -> list[sqlite3.Row]:
    return reads.rows(
        f"SELECT n.id, n.kind, n.proc_key, {_NAME} AS name FROM main.nodes n"
        f" WHERE n.snapshot_id = ?1 AND {condition}"
        " AND n.proc_key = coalesce(?3, n.proc_key)"
        " ORDER BY n.kind NOT IN ('task', 'thread'), n.proc_key, n.id LIMIT 1000",
        (snapshot_id, text, process),
    )


def _only_waiting(snapshot: SnapshotGraph, found: Sequence[sqlite3.Row], text: str) -> str:
    """The one task or thread among several nodes of that name. Raises Ambiguous."""
    actors = [row for row in found if row["kind"] in ("task", "thread")]
    if len(actors) == 1:
        return str(actors[0]["id"])
    shown = "\n".join(
        f"  {row['id']}  {row['kind']} {row['name']!r} in {row['proc_key']}"
        for row in found[:CHOICES]
    )
    more = f"\n  ... and {len(found) - CHOICES} more" if len(found) > CHOICES else ""
    raise Ambiguous(f"{text!r} fits {len(found)} nodes; choose one by its id:\n{shown}{more}")


def _waiting_in(reads: GraphReads, snapshot_id: int, process: str) -> list[str]:
    rows = reads.rows(
        "SELECT n.id FROM main.nodes n WHERE n.snapshot_id = ? AND n.proc_key = ?"
        " AND n.kind IN ('task', 'thread', 'future') AND EXISTS (SELECT 1 FROM main.edges e"
        "  WHERE e.snapshot_id = n.snapshot_id AND e.src_id = n.id AND e.kind = 'needs')",
        (snapshot_id, process),
    )
    return [row[0] for row in rows]


def known_process(reads: GraphReads, snapshot_id: int, process: str) -> list[str]:
    """The proc_keys of all processes that a name, proc_key or pid means. Raises NotFound."""
    found = reads.rows(
        "SELECT DISTINCT proc_key FROM main.snapshot_processes"
        " WHERE snapshot_id = ?1 AND (?2 IN (proc_key, process) OR cast(pid AS text) = ?2)",
        (snapshot_id, process),
    )
    if not found:
        raise NotFound(
            f"there is no process {process!r} in snapshot {snapshot_id}",
            hint="`peeps tree` shows what there is",
        )
    return [row[0] for row in found]


def actors(
    reads: GraphReads, snapshot_id: int, process: str | None
) -> tuple[list[Node], list[tuple[str, str]], list[tuple[str, str]]]:
    """Tasks, threads and task groups, who spawned whom, and which group needs which member."""
    if process is not None:
        keys = known_process(reads, snapshot_id, process)
    else:
        keys = [p.proc_key for p in reads.processes(snapshot_id)]
    marks = ",".join("?" * len(keys))
    nodes = reads.rows(
        "SELECT id, kind, process, proc_key, label, attrs_json FROM main.nodes"
        " WHERE snapshot_id = ? AND kind IN ('task', 'thread', 'joinset', 'process', 'command')"
        f" AND proc_key IN ({marks}) ORDER BY proc_key, id LIMIT {ACTORS_LIMIT}",
        (snapshot_id, *keys),
    )
    found = {row["id"]: node_of(row) for row in nodes}
    links: dict[str, list[tuple[str, str]]] = {"spawned": [], "needs": []}
    for src, dst, kind in reads.rows(
        "SELECT src_id, dst_id, kind FROM main.edges"
        " WHERE snapshot_id = ? AND kind IN ('spawned', 'needs')",
        (snapshot_id,),
    ):
        if src in found and dst in found:
            links[kind].append((src, dst))
    return list(found.values()), links["spawned"], links["needs"]
