"""What is wrong with a snapshot, ranked, each with its evidence.

Decides which rows of which named query make a finding, how grave it is, and when to stay silent:
what may change by itself within a moment (a full queue, an exhausted pool, a blocked loop) counts
only if it was the same in a second snapshot, or is marked as unconfirmed. Refuses to know SQL:
rows come in, and each finding names the query that found it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from . import answers
from .answer_shapes import DeadlockInfo
from .finding import LASTING, PASSING, SEVERITIES, Finding, Row, judged_confidence
from .finding_rules import RULES
from .snapshot_graph import SnapshotGraph

Rows = Mapping[str, Sequence[Row]]
"""Name of a query to its rows."""


@dataclass(frozen=True, slots=True)
class Check:
    """All findings of a snapshot, the gravest first."""

    snapshot_id: int
    confirmed_by: int | None
    ok: bool
    """Nothing of severity warning or worse, with at least medium confidence."""
    findings: list[Finding]
    sql: dict[str, str] = field(default_factory=dict)
    """Name of each query that found something, to its SQL."""


def find(snapshot: SnapshotGraph, rows: Rows) -> list[Finding]:
    """What the rows of the queries amount to in one snapshot; deadlocks are not among them."""
    found = []
    for query, interpret in RULES.items():
        for row in rows.get(query, ()):
            if (finding := interpret(snapshot, row)) is not None:
                found.append(finding)
    return found


def check(
    snapshot: SnapshotGraph,
    rows: Rows,
    later: SnapshotGraph | None = None,
    later_rows: Rows | None = None,
    *,
    keep: bool = False,
) -> Check:
    """All findings. Given another snapshot, those that are in both are confirmed, and those that
    might have passed and did are left out (keep=True: stay unconfirmed)."""
    now = find(snapshot, rows)
    if later is not None:
        still = {finding.key for finding in find(later, later_rows or {})}
        now = [_confirm(f, f.key in still) for f in now if keep or f.key in still or _lasts(f)]
    knots = answers.deadlocks(snapshot, later, keep=keep).deadlocks
    findings = [*map(_of_deadlock, knots), *now]
    findings.sort(key=lambda f: (SEVERITIES.index(f.severity), -f.confidence.score, f.sentence))
    return Check(
        snapshot.snapshot_id,
        later.snapshot_id if later else None,
        not any(_is_grave(f) for f in findings),
        findings,
    )


def _lasts(finding: Finding) -> bool:
    return finding.kind in ("unanswered", "old-request")


def _confirm(finding: Finding, confirmed: bool) -> Finding:
    lasts = LASTING if _lasts(finding) else PASSING
    return Finding(
        finding.kind,
        finding.severity,
        finding.title,
        finding.sentence,
        finding.subject,
        finding.evidence,
        finding.query,
        confirmed,
        judged_confidence(confirmed, lasts),
        finding.key,
    )


def _is_grave(finding: Finding) -> bool:
    return finding.severity != "info" and finding.confidence.level != "low"


def _of_deadlock(knot: DeadlockInfo) -> Finding:
    waiting = [f"{n.kind} {n.name!r} waits behind it" for n in knot.waiting[:5]]
    links = [s for s in knot.cycle[1:] if s.node.kind != "socket"]  # the sentence has them
    return Finding(
        "deadlock",
        "critical",
        "Deadlock" if knot.status == "confirmed" else "Deadlock, not yet confirmed",
        knot.sentence,
        knot.cycle[0].node,
        [f"{s.relation} {s.node.kind} {s.node.name!r}" for s in links] + waiting,
        "cycles",
        knot.status == "confirmed",
        knot.confidence,
        knot.id,
    )
