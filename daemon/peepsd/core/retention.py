"""What expires. Decides by count and age; refuses to know SQL and the time."""

from collections.abc import Sequence

NS_PER_DAY = 86_400 * 1_000_000_000
MAX_EVENTS = 100_000
"""Events kept at most, whatever their age: a flood must not fill the disk."""


def expired_snapshots(completed_ids: Sequence[int], retain: int) -> Sequence[int]:
    """Of the completed snapshots' ids in ascending order, those beyond the newest `retain`."""
    return completed_ids[: max(0, len(completed_ids) - retain)]


def events_before_ns(now_ns: int, retain_days: float) -> int:
    """Events older than this expire (Unix nanoseconds)."""
    return now_ns - int(retain_days * NS_PER_DAY)
