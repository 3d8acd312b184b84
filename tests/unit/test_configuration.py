import pytest
from hypothesis import given
from hypothesis import strategies as st

from peepsd.feed.configuration import (
    INTERVAL_LIMITS_MS,
    RETENTION_LIMITS_MS,
    MalformedConfiguration,
    Settings,
    Wish,
    wish_from_json,
    wish_from_numbers,
)

NOW = Settings(send_state_interval_ms=2_000, retention_period_ms=60_000)


@pytest.mark.parametrize(
    ("content", "interval", "retention"),
    [
        ('{"send_state_interval_ms": 3000}', 3_000, 60_000),
        ('{"sendStateIntervalMs": 3000}', 3_000, 60_000),
        ('{"durationSnapshot": 3000}', 3_000, 60_000),
        ('{"stateSnapshotIntervalMs": 3000}', 3_000, 60_000),
        ('{"retention_period_ms": 5000}', 2_000, 5_000),
        ('{"retentionPeriodMs": 5000}', 2_000, 5_000),
        ('{"keep_stale_data_ms": 5000}', 2_000, 5_000),
        ('{"keepStaleDataMs": 5000, "sendStateIntervalMs": 700.4}', 700, 5_000),
        ("{}", 2_000, 60_000),
        ("", 2_000, 60_000),
        ('{"unknown": "x"}', 2_000, 60_000),
        # absurd, and no error
        ('{"sendStateIntervalMs": 0}', 500, 60_000),
        ('{"sendStateIntervalMs": -1e300}', 500, 60_000),
        ('{"sendStateIntervalMs": 1e999}', 60_000, 60_000),
        ('{"retentionPeriodMs": %s}' % ("9" * 5_000), 2_000, 600_000),
        ('{"retentionPeriodMs": 18446744073709551616}', 2_000, 600_000),
    ],
)
def test_a_wish_is_granted_within_limits(content: str, interval: int, retention: int) -> None:
    assert wish_from_json(content).granted(NOW) == Settings(interval, retention)


@pytest.mark.parametrize(
    "content",
    [
        "not json",
        "[1]",
        "3000",
        "null",
        '{"sendStateIntervalMs": "3000"}',
        '{"sendStateIntervalMs": null}',
        '{"sendStateIntervalMs": true}',
        '{"sendStateIntervalMs": [1]}',
        '{"sendStateIntervalMs": NaN}',
        '{"sendStateIntervalMs": 1',
        "[" * 50_000,
    ],
)
def test_what_cannot_be_read_is_an_error(content: str) -> None:
    with pytest.raises(MalformedConfiguration):
        wish_from_json(content)


def test_a_number_that_was_not_set_leaves_the_value() -> None:
    assert wish_from_numbers(0, 0).granted(NOW) == NOW
    assert wish_from_numbers(0, 700).granted(NOW) == Settings(700, 60_000)
    assert wish_from_numbers(2**64 - 1, 0).granted(NOW) == Settings(2_000, 600_000)


@pytest.mark.parametrize(
    ("wish", "fulfilled"),
    [
        (Wish(), True),
        (Wish(send_state_interval_ms=2_000.0), True),
        (Wish(send_state_interval_ms=1), False),
        (Wish(retention_period_ms=1e9), False),
    ],
)
def test_whether_a_wish_came_true(wish: Wish, fulfilled: bool) -> None:
    assert wish.is_fulfilled_by(wish.granted(NOW)) is fulfilled


@given(
    st.dictionaries(
        st.sampled_from(["sendStateIntervalMs", "retentionPeriodMs"]),
        st.floats(allow_nan=False) | st.integers(),
    )
)
def test_what_is_granted_is_always_sane(asked: dict[str, float]) -> None:
    content = ", ".join(f'"{k}": {v}' for k, v in asked.items()).replace("inf", "1e999")
    granted = wish_from_json("{" + content + "}").granted(NOW)
    assert INTERVAL_LIMITS_MS[0] <= granted.send_state_interval_ms <= INTERVAL_LIMITS_MS[1]
    assert RETENTION_LIMITS_MS[0] <= granted.retention_period_ms <= RETENTION_LIMITS_MS[1]
