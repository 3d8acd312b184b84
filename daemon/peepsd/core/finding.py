"""One thing that is wrong, and how it is put into words.

Decides what a finding consists of, how sure one may be of it, and by what it is known again in
another snapshot. Refuses to know what is wrong: the rules do.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from . import confidence, phrases
from .answer_shapes import NodeInfo
from .answers import info
from .confidence import Circumstances, Confidence
from .snapshot_graph import SnapshotGraph

Severity = Literal["critical", "error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("critical", "error", "warning", "info")

Row = Mapping[str, Any]
"""A row of a named query, by column."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong."""

    kind: str
    severity: Severity
    title: str
    sentence: str
    subject: NodeInfo | None
    """The node to ask `why` about."""
    evidence: list[str]
    query: str
    """The named query that found it; its SQL is in `sql` of the check."""
    confirmed: bool
    confidence: Confidence
    key: str = field(default="", repr=False)
    """The same in two snapshots for the same thing."""


Interpret = Callable[[SnapshotGraph, Row], Finding | None]

LASTING = "lasting"
PASSING = "passing"


def judged_confidence(confirmed: bool, kind: str, inferred: Sequence[str] = ()) -> Confidence:
    """Passing states seen once say little; lasting ones are certain enough."""
    given = Circumstances(inferred=inferred, confirmed=confirmed if kind == PASSING else None)
    judged = confidence.judge(given)
    if kind == PASSING and not confirmed:
        reasons = (*judged.reasons, "such a state often passes within a moment")
        return Confidence("low", round(judged.score * 0.5, 2), reasons)
    return judged


def make(
    snapshot: SnapshotGraph,
    node_id: str,
    *,
    kind: str,
    severity: Severity,
    title: str,
    sentence: str,
    evidence: Sequence[str] = (),
    query: str,
    lasts: str = PASSING,
    key: str = "",
) -> Finding:
    """A finding about one node, seen once."""
    return Finding(
        kind,
        severity,
        title,
        sentence,
        info(snapshot, snapshot.node(node_id)),
        list(evidence),
        query,
        False,
        judged_confidence(False, lasts),
        key or f"{kind} {node_id}",
    )


def number(value: object) -> str:
    """An attribute that should be a number, as text; processes may send anything."""
    return f"{value:.4g}" if isinstance(value, (int, float)) else "?"


def needs(snapshot: SnapshotGraph, node_id: str) -> list[str]:
    """Ids of what a node waits for."""
    graph = snapshot.graph
    return [graph.ids[m] for n in snapshot.numbers(node_id) for m in graph.needs[n]]


def needed_by(snapshot: SnapshotGraph, node_id: str) -> list[str]:
    """Ids of who waits for a node."""
    graph = snapshot.graph
    return [graph.ids[m] for n in snapshot.numbers(node_id) for m in graph.needed_by[n]]


def as_they_are(snapshot: SnapshotGraph, ids: Sequence[str]) -> list[str]:
    """Ids that differ between two snapshots if their task or thread ran in the meantime."""
    steps = {i: node.attrs.get("steps") for i, node in snapshot.nodes(ids).items()}
    return [i if steps[i] is None else f"{i}#{steps[i]}" for i in ids]


def line(snapshot: SnapshotGraph, node_id: str) -> str:
    """A node in words, with its place."""
    node = snapshot.node(node_id)
    return f"{phrases.title(node)} {phrases.whereabouts(node)}".rstrip()


def lines(snapshot: SnapshotGraph, what: str, ids: Sequence[str], limit: int = 5) -> list[str]:
    """Nodes in words, each behind `what`, as evidence: a few of them and how many more."""
    shown = [f"{what} {line(snapshot, i)}" for i in ids[:limit]]
    more = len(ids) - limit
    return [*shown, f"... and {more} more"] if more > 0 else shown


def same(kind: str, node_id: str, *groups: Sequence[str]) -> str:
    """The key of a finding that is the same as long as none of its groups of ids changes."""
    return " ".join([kind, node_id, *(",".join(sorted(group)) for group in groups)])
