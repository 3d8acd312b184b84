"""A message on its way to observers: encoded once, shared by all of them.

Decides when checksum and frame are made (on first need, once). Refuses to know who gets it.
"""

from functools import cached_property

from .framing import record, websocket_frame
from .modes import Source
from .pb import introspection_pb2 as pb

VERSION = pb.Version(version=1)


class Outgoing:
    """One server message as bytes. `sequence` orders everything that a hub ever published."""

    def __init__(
        self, payload: bytes, source: Source | None = None, sequence: int = 0, at: float = 0.0
    ) -> None:
        self.payload = payload
        self.source = source
        """None: an answer to one observer."""
        self.sequence = sequence
        self.at = at
        """When it was published, on the caller's monotonic clock (s)."""

    @cached_property
    def record(self) -> bytes:
        """Checksum, length and message: what a prefixed frame holds."""
        return record(self.payload)

    @cached_property
    def frame(self) -> bytes:
        """The WebSocket frame that carries it bare."""
        return websocket_frame(self.payload)


def encode_state(state: pb.State) -> bytes:
    """A State as a server message."""
    return pb.ServerMessage(version=VERSION, state=state).SerializeToString()


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
