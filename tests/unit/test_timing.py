import pytest
from hypothesis import given
from hypothesis import strategies as st

from peepsd.feed.pb import introspection_pb2 as pb
from peepsd.feed.timing import StateTimes, gap_before, state_times, times_of_next


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


def test_r24_a_shorter_interval_leaves_no_gap() -> None:
    assert times_of_next(11_900, 10_000, 1_000, previous_interval_ms=2_000) == (11_900, 10_000)


@pytest.mark.parametrize(
    ("now", "previous", "instant", "start"),
    [
        (10_000, None, 10_000, 9_000),  # the first
        (11_000, 10_000, 11_000, 10_000),
        (11_003, 10_000, 11_003, 10_000),  # jitter is no gap
        (10_400, 10_000, 10_400, 10_000),  # the interval was longer before
        (20_000, 10_000, 20_000, 19_000),  # nobody listened: a gap
        (9_000, 10_000, 10_001, 10_000),  # the clock was set back
    ],
)
def test_r24_a_state_starts_where_its_predecessor_ended(
    now: int, previous: int | None, instant: int, start: int
) -> None:
    assert times_of_next(now, previous, 1_000) == (instant, start)


@given(st.lists(st.integers(1, 10**13), min_size=2), st.integers(500, 60_000))
def test_r24_holds_whatever_the_clock_does(clock: list[int], interval: int) -> None:
    previous = None
    for now in clock:
        instant, start = times_of_next(now, previous, interval)
        if previous is not None:
            assert previous <= start < instant
        previous = instant


@pytest.mark.parametrize(
    ("start", "gap"), [(10_000, 0), (10_001, 0), (10_900, 0), (11_100, 1_100), (9_000, 0)]
)
def test_a_gap_is_told_from_jitter(start: int, gap: int) -> None:
    previous = StateTimes(8_000, 10_000, 2_000)
    assert gap_before(StateTimes(start, start + 2_000, 2_000), previous) == gap
