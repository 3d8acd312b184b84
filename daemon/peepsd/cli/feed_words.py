"""What the feed tells, in words and numbers for people.

Decides units, and that whatever comes from a process is made safe for a terminal. Refuses to
know where it is shown.
"""

import json
from datetime import UTC, datetime

from ..core.identity import safe_text
from ..feed.pb import introspection_pb2 as pb

MAX_TEXT = 160
"""Bytes of a name, or of an event's content in the live view."""
MAX_LINE = 4_000
"""Bytes of an event's content where it is a line of its own."""


def event_line(event: pb.Event) -> str:
    """One event for people and grep."""
    return f"{clock(event.ts)} {safe(event.type.name)} {event_words(event, MAX_LINE)}"


def lost_words(notice: pb.ServerNotice) -> str:
    """What the server has discarded of what it owed us; empty: nothing."""
    count = notice.discarded_events + notice.discarded_states + notice.discarded_traces
    return f"missed {count} messages, {notice.discarded_events} of them events" if count else ""


def event_words(event: pb.Event, max_bytes: int = MAX_TEXT) -> str:
    try:
        content = json.loads(event.content)
        words = " ".join(f"{name}={_value(value)}" for name, value in content.items())
    except (ValueError, AttributeError, RecursionError):
        words = event.content
    cut = safe_text(words, max_bytes)
    return cut if len(words) <= max_bytes else f"{cut}…"


def _value(value: object) -> str:
    """As people write it: no more digits than matter, no quotes around a text."""
    if isinstance(value, float):
        return f"{value:.1f}".removesuffix(".0")
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def size(count: float) -> str:
    """Bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def duration(ms: float) -> str:
    """Milliseconds for people."""
    if ms < 1000:
        return f"{ms:.1f} ms" if ms < 10 else f"{ms:.0f} ms"
    seconds = ms / 1000
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {seconds:02} s"


def age(ms: float) -> str:
    """How long something has been there, in little room: 59s, 12m, 3h05m, 4d."""
    seconds = max(round(ms / 1000), 0)
    if seconds < 60:
        return f"{seconds}s"
    minutes = seconds // 60
    hours, minutes = divmod(minutes, 60)
    if not hours:
        return f"{minutes}m"
    return f"{hours}h{minutes:02}m" if hours < 48 else f"{hours // 24}d"


def clock(ms: int) -> str:
    """The time of day, here."""
    return datetime.fromtimestamp(_bounded(ms) / 1000).strftime("%H:%M:%S")


def stamp(ms: int) -> str:
    """Date and time in UTC."""
    return datetime.fromtimestamp(_bounded(ms) / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _bounded(ms: int) -> int:
    return min(max(ms, 0), 253_402_300_799_000)  # the year 9999


def safe(text: str) -> str:
    """`text`, fit for a terminal and not too long."""
    return safe_text(text, MAX_TEXT)
