"""The W3C `traceparent` header: reading and writing it (Trace Context, level 1, section 3.2).

Pure. Decides which headers are valid; an invalid one counts as none, as the standard asks.
"""

import os
import re
from typing import NamedTuple

HEADER = "traceparent"
_VALID = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


class Traceparent(NamedTuple):
    """A position in a trace."""

    trace_id: str
    """32 lower-case hexadecimal digits, not all zero."""
    span_id: str
    """16 of them: the caller's span, "parent-id" in the standard."""
    flags: str = "00"

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"

    @property
    def key(self) -> str:
        """What ties a request to its response."""
        return f"{self.trace_id}-{self.span_id}"

    def with_new_span(self) -> "Traceparent":
        """The same trace, another caller."""
        return self._replace(span_id=os.urandom(8).hex())


def parse(text: str | None) -> Traceparent | None:
    """A header's value, or None if it is missing or invalid.

    Later versions may append fields; version ff is forbidden, and version 00 has no more fields.
    """
    match = _VALID.fullmatch(text.strip()) if text else None
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == "ff" or (version == "00" and more) or not int(trace_id, 16):
        return None
    return Traceparent(trace_id, span_id, flags) if int(span_id, 16) else None


def new() -> Traceparent:
    """The beginning of a trace of its own."""
    return Traceparent(os.urandom(16).hex(), os.urandom(8).hex())
