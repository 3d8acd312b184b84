"""The three times of a State: how we set them, and how a missing one is estimated. Pure.

Rules R22 to R25. Milliseconds throughout.
"""

from typing import NamedTuple

from .pb import introspection_pb2 as pb

_JITTER = 1.5
"""A State that comes up to this many intervals after its predecessor leaves no gap."""
SET_BACK_MS = 1_000
"""A clock that is behind the last State by less is waited for: it was set right."""


class StateTimes(NamedTuple):
    """What a State spans."""

    start: int
    end: int
    duration: int


def next_instant(now_ms: int, previous_ms: int | None) -> int:
    """instant_ts of the State made now, whose predecessor's was `previous_ms`.

    Instants rise, also where the clock is set back a little. Where it is set back for good they
    follow it at once: a State tells when it was made, and hours of instants that creep after
    each other would tell nothing.
    """
    if previous_ms is None or now_ms <= previous_ms - SET_BACK_MS:
        return now_ms
    return max(now_ms, previous_ms + 1)


def start_of(instant_ms: int, previous_ms: int, interval_ms: int, previous_interval_ms: int) -> int:
    """start_ts of a State, for somebody who was told that of `previous_ms` before (R24).

    It starts where its predecessor ended, unless nothing was told for a while: then one interval
    before its instant, and the distance between the two tells of the gap. That the interval was
    longer when the predecessor was made is none. Where the clock was set back, the predecessor
    ended at no time that the new clock knows, and the State starts one interval before its
    instant as the first one does.
    """
    elapsed_ms = instant_ms - previous_ms
    if 0 < elapsed_ms <= max(interval_ms, previous_interval_ms) * _JITTER:
        return previous_ms
    return max(instant_ms - interval_ms, 0)


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


def set_back_before(times: StateTimes, previous: StateTimes) -> int:
    """By how much at least the clock was set back between two consecutive States; 0: it was not."""
    return max(previous.end - times.end, 0)
