"""A message on its way to observers: encoded once, shared by all of them.

Decides when checksum and frame are made (on first need, once), and how a State that was made
for all is told to each since its own last one. Refuses to know who gets it.
"""

from collections.abc import Callable
from functools import cached_property, partial
from typing import NamedTuple

from .framing import fnv1a, record, varint, websocket_frame
from .modes import Source
from .pb import introspection_pb2 as pb
from .timing import start_of

VERSION = pb.Version(version=1)
_STATE_HEAD = pb.ServerMessage(version=VERSION).SerializeToString() + b"\x12"  # field 2: state


class Told(NamedTuple):
    """Which State an observer was told."""

    sequence: int
    instant_ms: int = 0
    interval_ms: int = 0
    """The observer's, when it was."""


NOTHING = Told(-1)
"""It has not been told any."""


class Outgoing:
    """One server message as bytes. `sequence` orders everything that a hub ever published."""

    def __init__(
        self,
        payload: bytes,
        source: Source | None = None,
        sequence: int = 0,
        at: float = 0.0,
        *,
        rest: tuple[bytes, ...] = (),
        checksum: Callable[[], int] | None = None,
    ) -> None:
        """`rest` goes on where `payload` ends: it may be shared with other messages, which wait
        in backlogs without a copy of their own. `checksum`: a quicker way to make it."""
        self._parts = (payload, *rest)
        self._checksum = checksum
        self.size = sum(map(len, self._parts))
        self.source = source
        """None: an answer to one observer."""
        self.sequence = sequence
        self.at = at
        """When it was published, on the caller's monotonic clock (s)."""
        self.told = Told(sequence)
        """Of a State."""

    def since(self, last: Told, interval_ms: int) -> "Outgoing":
        """A State that is complete, as a recorded one is, is the same for every observer."""
        return self

    @cached_property
    def payload(self) -> bytes:
        """The message."""
        return b"".join(self._parts)

    @cached_property
    def record(self) -> bytes:
        """Checksum, length and message: what a prefixed frame holds."""
        return record(self.payload, None if self._checksum is None else self._checksum())

    @cached_property
    def frame(self) -> bytes:
        """The WebSocket frame that carries it bare."""
        return websocket_frame(self.payload)


class LiveState:
    """A State made for all observers. What it spans differs between them, and is told by its
    last two fields; what comes before is encoded, and its checksum made, once."""

    def __init__(self, state: pb.State, sequence: int = 0, at: float = 0.0) -> None:
        """`state` has no start_ts and no snapshot_duration_ms. For the rest see Outgoing."""
        self.instant_ms = state.instant_ts
        self.sequence = sequence
        self.at = at
        self._body = state.SerializeToString()
        self._spans: dict[tuple[int, int], Outgoing] = {}
        self._checksums: dict[bytes, int] = {}

    def since(self, last: Told, interval_ms: int) -> Outgoing:
        """As it is told to an observer of this interval that was told `last` before it."""
        start_ms = start_of(self.instant_ms, last.instant_ms, interval_ms, last.interval_ms)
        span = (start_ms, interval_ms)
        if span not in self._spans:
            self._spans[span] = self._spanning(start_ms, interval_ms)
        return self._spans[span]

    def _spanning(self, start_ms: int, interval_ms: int) -> Outgoing:
        end = pb.State(start_ts=start_ms, snapshot_duration_ms=interval_ms).SerializeToString()
        head = _STATE_HEAD + varint(len(self._body) + len(end))
        outgoing = Outgoing(
            head,
            Source.STATE,
            self.sequence,
            self.at,
            rest=(self._body, end),
            checksum=partial(self._checksum, head, end),
        )
        outgoing.told = Told(self.sequence, self.instant_ms, interval_ms)
        return outgoing

    def _checksum(self, head: bytes, end: bytes) -> int:
        if head not in self._checksums:
            self._checksums[head] = fnv1a(head + self._body)
        return fnv1a(end, self._checksums[head])


def encode_runtime(runtime: pb.Runtime) -> bytes:
    """A Runtime as a server message."""
    return pb.ServerMessage(version=VERSION, runtime=runtime).SerializeToString()


def encode_event(event: pb.Event) -> bytes:
    """An Event as a server message."""
    return pb.ServerMessage(version=VERSION, event=event).SerializeToString()


def encode_trace(trace: pb.Trace) -> bytes:
    """A Trace as a server message."""
    return pb.ServerMessage(version=VERSION, trace=trace).SerializeToString()


def encode_response(response: pb.CommandResponse) -> bytes:
    """The answer to a command as a server message."""
    return pb.ServerMessage(version=VERSION, response=response).SerializeToString()


def encode_notice(notice: pb.ServerNotice) -> bytes:
    """A notice as a server message."""
    return pb.ServerMessage(version=VERSION, notice=notice).SerializeToString()
