"""The three times of a State: how we set them, and how a missing one is estimated. Pure.

Rules R22 to R25. Milliseconds throughout.
"""

from typing import NamedTuple

from .pb import introspection_pb2 as pb

_JITTER = 1.5
"""A State that comes up to this many intervals after its predecessor leaves no gap."""


class StateTimes(NamedTuple):
    """What a State spans."""

    start: int
    end: int
    duration: int


def times_of_next(
    now_ms: int, previous_ms: int | None, interval_ms: int, previous_interval_ms: int = 0
) -> tuple[int, int]:
    """(instant_ts, start_ts) of the State made now.

    It starts where its predecessor ended (`previous_ms`), unless nothing was collected for a
    while: then one interval before its instant, and the distance between the two tells of the
    gap. That the interval was longer when the predecessor was made is none. Instants rise even
    where the clock steps back.
    """
    if previous_ms is None:
        return now_ms, now_ms - interval_ms
    instant = max(now_ms, previous_ms + 1)
    if instant - previous_ms <= max(interval_ms, previous_interval_ms) * _JITTER:
        return instant, previous_ms
    return instant, instant - interval_ms


def state_times(state: pb.State) -> StateTimes:
    """The times of a State; one that is missing (0) is estimated from the other two (R25).

    With two missing the result is arithmetic without meaning, as the rule promises for one only.
    """
    start, end, duration = state.start_ts, state.instant_ts, state.snapshot_duration_ms
    return StateTimes(
        start=start or end - duration,
        end=end or start + duration,
        duration=duration or end - start,
    )


def gap_before(times: StateTimes, previous: StateTimes) -> int:
    """How long nothing was collected between two consecutive States (R24); 0: no gap.

    Up to half an interval counts as jitter.
    """
    gap = times.start - previous.end
    return gap if gap > times.duration / 2 else 0
