"""When States are made, and who gets which. Pure.

Every observer has its own interval (R21), and a State is made where a multiple of one of them
falls on one clock: observers of the same interval share every State, those of 500 and 1000 ms
every second one, and no rhythm drifts. Where there is so much to tell that this would take much of
the daemon's time, nobody is told more often than it can bear (R29). Times are seconds on the
caller's monotonic clock.
"""

import math
from collections import deque
from collections.abc import Collection

from .configuration import INTERVAL_LIMITS_MS

SPACING_S = 0.1
"""However many intervals there are, States are not made more often: what is due too soon after
another waits so long."""

SHARE = 0.1
"""Of the daemon's time that States may take."""
_STEP_MS = 500
_AGREEING = 3
"""States in a row that must have been as expensive, or as cheap: one alone says nothing."""


def next_beat(after_s: float, intervals_ms: Collection[int], spacing_s: float = SPACING_S) -> float:
    """The first moment after `after_s` at which somebody is due, but not sooner than `spacing_s`
    after it; infinite if there is nobody."""
    if not intervals_ms:
        return math.inf
    due_s = min((_beats(after_s, ms) + 1) * ms for ms in intervals_ms) / 1000
    return max(due_s, after_s + spacing_s)


def is_due(last_s: float, now_s: float, interval_ms: int) -> bool:
    """Whether one of this interval, served at the last beat if it was due then, is due now."""
    return _beats(now_s, interval_ms) > _beats(last_s, interval_ms)


def _beats(at_s: float, interval_ms: int) -> int:
    """How many have been since the clock began; whole microseconds, so that none is missed."""
    return round(at_s * 1_000_000) // (interval_ms * 1000)


class Budget:
    """How often States can be made at most, by what they cost."""

    def __init__(self) -> None:
        self.shortest_ms = 0
        """The shortest interval; 0: whatever observers may ask for."""
        self.spacing_s = SPACING_S
        """Between any two States."""
        self._recent_s: deque[float] = deque(maxlen=_AGREEING)

    def spend(self, cost_s: float) -> bool:
        """Note what a State has cost; whether that changes `shortest_ms`."""
        self._recent_s.append(cost_s)
        if len(self._recent_s) < _AGREEING:
            return False
        before, least_s = self.shortest_ms, min(self._recent_s)
        self.spacing_s = max(SPACING_S, least_s / SHARE)
        at_least, at_most = _affordable_ms(least_s), _affordable_ms(max(self._recent_s))
        self.shortest_ms = min(max(before, at_least), at_most)
        return self.shortest_ms != before


def _affordable_ms(cost_s: float) -> int:
    """The interval in which this is no more than SHARE, in whole steps."""
    low, high = INTERVAL_LIMITS_MS
    interval_ms = math.ceil(cost_s * 1000 / SHARE / _STEP_MS) * _STEP_MS
    return min(interval_ms, high) if interval_ms > low else 0
