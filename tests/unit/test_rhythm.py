import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peepsd.feed.rhythm import SHARE, SPACING_S, Budget, is_due, next_beat

SANE_MS = st.sets(st.integers(500, 60_000), min_size=1, max_size=6)


@pytest.mark.parametrize(
    ("after", "intervals", "due"),
    [
        (10.0, {1_000}, 11.0),
        (10.3, {1_000}, 11.0),
        (10.0, {500, 1_000, 60_000}, 10.5),
        (10.5, {500, 520}, 10.92),
        (10.9, {500, 520}, 11.0),
        (10.99, {500}, 11.09),  # too soon after another
        (10.0, set(), math.inf),
    ],
)
def test_the_next_beat(after: float, intervals: set[int], due: float) -> None:
    assert next_beat(after, intervals) == pytest.approx(due)


def test_what_is_expensive_has_more_time_between() -> None:
    assert next_beat(10.6, {500, 520}, spacing_s=0.7) == pytest.approx(11.3)
    budget = Budget()
    for cost_s in (0.03, 0.02, 9.0):
        budget.spend(cost_s)
    assert budget.spacing_s == pytest.approx(0.02 / SHARE)
    for _ in range(3):
        budget.spend(0.001)
    assert budget.spacing_s == SPACING_S


@pytest.mark.parametrize(
    ("last", "now", "interval", "expected"),
    [
        (10.0, 10.5, 500, True),
        (10.0, 10.5, 1_000, False),
        (10.5, 11.0, 1_000, True),
        (0.0, 0.0, 500, False),
        (10.95, 11.1, 1_000, True),  # late is due
        (10.0, 10.0, 500, False),
        (0.1, 0.3, 300, True),  # as floats, 0.3 is less than three times 0.1
    ],
)
def test_who_is_due(last: float, now: float, interval: int, expected: bool) -> None:
    assert is_due(last, now, interval) is expected


@given(SANE_MS, st.floats(0, 1e6), st.lists(st.floats(0, 0.4), min_size=30, max_size=30))
def test_everybody_is_served_at_its_interval_and_nobody_works_all_the_time(
    intervals: set[int], began: float, delays: list[float]
) -> None:
    """`delays`: how late each beat is, and how long its State takes."""
    last, served = began, {interval: [began] for interval in intervals}
    beats = []
    for delay in delays:
        now = next_beat(last, intervals) + delay
        beats.append(now)
        for interval in intervals:
            if is_due(last, now, interval):
                served[interval].append(now)
        last = now
    assert min(b - a for a, b in pairwise(beats)) >= SPACING_S - 1e-6
    for interval, times in served.items():
        missed = (last - began) / (interval / 1000) - len(times)
        assert missed <= sum(delay > 0 for delay in delays) + 1
        assert len(times) - 1 <= (last - began) / (interval / 1000) + 1


@given(SANE_MS)
def test_no_rhythm_drifts(intervals: set[int]) -> None:
    last, counts = 0.0, dict.fromkeys(intervals, 0)
    while last < 130:
        now = next_beat(last, intervals)
        for interval in intervals:
            counts[interval] += is_due(last, now, interval)
        last = now
    for interval, count in counts.items():
        assert count == round(last * 1e6) // (interval * 1_000)


@pytest.mark.parametrize(
    ("costs_ms", "shortest_ms"),
    [
        ([1, 1, 1], 0),
        ([49, 49, 49], 0),
        ([60, 60], 0),  # not sure yet
        ([60, 60, 60], 1_000),
        ([5_000, 1, 1, 5_000, 1, 1], 0),  # hiccups
        ([60, 70, 300], 1_000),
        ([300, 300, 300, 60, 300, 300], 3_000),
        ([300, 300, 300, 60, 60, 60], 1_000),
        ([300, 300, 300, 1, 1, 1], 0),
        ([90_000] * 3, 60_000),
    ],
)
def test_r29_states_are_as_rare_as_they_are_expensive(
    costs_ms: list[int], shortest_ms: int
) -> None:
    budget = Budget()
    before = budget.shortest_ms
    for cost_ms in costs_ms:
        changed = budget.spend(cost_ms / 1000)
        assert changed == (budget.shortest_ms != before)
        before = budget.shortest_ms
    assert budget.shortest_ms == shortest_ms
