import pytest
from hypothesis import given
from hypothesis import strategies as st

from peepsd.feed.pb import introspection_pb2 as pb
from peepsd.feed.timing import (
    StateTimes,
    gap_before,
    next_instant,
    set_back_before,
    start_of,
    state_times,
)


@pytest.mark.parametrize(
    ("given_times", "expected"),
    [
        ((8001, 10000, 2000), (8001, 10000, 2000)),
        ((0, 10000, 2000), (8000, 10000, 2000)),
        ((8000, 0, 2000), (8000, 10000, 2000)),
        ((8000, 10000, 0), (8000, 10000, 2000)),
        ((7000, 10000, 2000), (7000, 10000, 2000)),  # a gap, not an error
        # two missing: arithmetic without meaning, as existing observers compute it
        ((0, 10000, 0), (10000, 10000, 10000)),
        ((8000, 0, 0), (8000, 8000, -8000)),
        ((0, 0, 2000), (-2000, 2000, 2000)),
        ((0, 0, 0), (0, 0, 0)),
    ],
)
def test_r25_a_missing_time_is_estimated_from_the_other_two(
    given_times: tuple[int, int, int], expected: tuple[int, int, int]
) -> None:
    start, instant, duration = given_times
    state = pb.State(start_ts=start, instant_ts=instant, snapshot_duration_ms=duration)
    assert state_times(state) == StateTimes(*expected)


@pytest.mark.parametrize(
    ("now", "previous", "instant"),
    [
        (10_000, None, 10_000),
        (11_000, 10_000, 11_000),
        (9_999, 10_000, 10_001),  # the clock was set right, by less than a second
        (9_001, 10_000, 10_001),
        (9_000, 10_000, 9_000),  # it was set back, and is followed at once
        (1_000, 10_800_000, 1_000),
    ],
)
def test_r22_an_instant_is_when_the_state_was_made(
    now: int, previous: int | None, instant: int
) -> None:
    assert next_instant(now, previous) == instant


@pytest.mark.parametrize(
    ("instant", "previous", "start"),
    [
        (11_000, 10_000, 10_000),
        (11_003, 10_000, 10_000),  # jitter is no gap
        (10_400, 10_000, 10_000),  # the interval was longer before
        (20_000, 10_000, 19_000),  # nobody listened: a gap
        (10_000, 0, 9_000),  # the first
        (10_000, 10_800_000, 9_000),  # the clock was set back
        (1, 0, 0),  # a machine that believes it is 1970
    ],
)
def test_r24_a_state_starts_where_its_predecessor_ended(
    instant: int, previous: int, start: int
) -> None:
    assert start_of(instant, previous, 1_000, 1_000) == start


def test_r24_a_shorter_interval_leaves_no_gap() -> None:
    assert start_of(11_900, 10_000, 1_000, previous_interval_ms=2_000) == 10_000


@given(st.lists(st.integers(0, 10_000_000)), st.integers(500, 60_000))
def test_r24_holds_however_late_states_are(steps: list[int], interval: int) -> None:
    previous = now = 1_700_000_000_000
    for step in steps:
        now += step
        instant = next_instant(now, previous)
        assert previous <= start_of(instant, previous, interval, interval) < instant
        previous = instant


@given(st.integers(-100_000_000, -1), st.lists(st.integers(500, 1_500), min_size=5, max_size=20))
def test_r24_a_clock_that_is_set_back_disturbs_one_state_at_most_two(
    step: int, intervals: list[int]
) -> None:
    """Hours of States that creep by a millisecond would tell no time at all."""
    previous = now = 1_700_000_000_000
    now += step
    disturbed = 0
    for elapsed in intervals:
        now += elapsed
        instant = next_instant(now, previous)
        start = start_of(instant, previous, 1_000, 1_000)
        assert start < instant
        disturbed += instant != now or start != previous
        previous = instant
    assert disturbed <= 2
    assert previous == now


@pytest.mark.parametrize(
    ("start", "gap"), [(10_000, 0), (10_001, 0), (10_900, 0), (11_100, 1_100), (9_000, 0)]
)
def test_a_gap_is_told_from_jitter(start: int, gap: int) -> None:
    previous = StateTimes(8_000, 10_000, 2_000)
    assert gap_before(StateTimes(start, start + 2_000, 2_000), previous) == gap


def test_a_clock_that_was_set_back_is_no_gap_and_shows() -> None:
    previous, state = StateTimes(8_000, 10_000, 2_000), StateTimes(1_000, 3_000, 2_000)
    assert (gap_before(state, previous), set_back_before(state, previous)) == (0, 7_000)
    assert set_back_before(previous, state) == 0
