"""How sure an answer is, and why not surer.

Decides what lowers confidence and by how much. Refuses to know how answers are found.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Level = Literal["high", "medium", "low"]

INFERRED_FACTOR = 0.9
"""For each distinct way in which edges were inferred rather than recorded."""
UNCONFIRMED_FACTOR = 0.75
SKEW_FACTOR = 0.8
TORN_FACTOR = 0.8
SKEW_LIMIT_MS = 250.0
"""Cuts of processes further apart than this may show states that never coexisted."""


@dataclass(frozen=True, slots=True)
class Confidence:
    """`score` is between 0 and 1; `reasons` say what it was lowered for."""

    level: Level
    score: float
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What may cast doubt on an answer."""

    inferred: Sequence[str] = ()
    """How edges it rests on were inferred, one for each such edge."""
    confirmed: bool | None = None
    """Seen again in a later snapshot; None: that does not matter to this answer."""
    skew_ms: float | None = None
    """Time between the first and the last cut, if several processes are involved."""
    torn: int = 0
    """Nodes involved that were sampled while their loop was running."""


def judge(given: Circumstances) -> Confidence:
    """Start at certainty and take something off for each doubt."""
    score = 1.0
    reasons: list[str] = []
    if given.inferred:
        ways = sorted(set(given.inferred))
        score *= INFERRED_FACTOR ** len(ways)
        edges = "1 edge was" if len(given.inferred) == 1 else f"{len(given.inferred)} edges were"
        reasons.append(f"{edges} inferred rather than recorded ({'; '.join(ways)})")
    if given.confirmed is False:
        score *= UNCONFIRMED_FACTOR
        reasons.append("seen in one snapshot only; a second one would confirm it")
    if given.skew_ms is not None and given.skew_ms > SKEW_LIMIT_MS:
        score *= SKEW_FACTOR
        reasons.append(f"the processes were looked at {given.skew_ms:.0f} ms apart")
    if given.torn:
        score *= TORN_FACTOR
        reasons.append("some of it was sampled while its event loop was running")
    level: Level = "high" if score >= 0.8 else "medium" if score >= 0.5 else "low"
    return Confidence(level, round(score, 2), tuple(reasons))
