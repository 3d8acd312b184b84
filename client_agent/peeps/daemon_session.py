"""One connection to the daemon, without IO: bytes in, requests out; what to send as bytes.

Decides what is said first (hello) and how bytes become requests. A message that is not
understood is counted and passed over; a broken length ends the connection, since where the
next frame starts is unknown then. Refuses to know sockets, threads and graphs.

Protocol: docs/protocol.md.
"""

from .identity import Identity
from .wire.errors import MessageError
from .wire.frames import FrameDecoder, encode_frame
from .wire.messages import Hello, SnapshotRequest, parse_daemon_message

MAX_REQUEST_BYTES = 64 * 1024
"""A request is a hundred bytes; whatever sends more is no daemon."""


class DaemonSession:
    """Sans-IO. Feed it what was received; send what it returns."""

    def __init__(self, identity: Identity, host: str, version: str, token: str | None) -> None:
        self._hello = Hello(identity.name, identity.pid, host, f"peeps-python/{version}", token)
        self._decoder = FrameDecoder(MAX_REQUEST_BYTES)
        self.requests_seen = 0
        self.messages_ignored = 0
        """Frames that were no JSON object, or of a type that a newer daemon may send."""

    def greeting(self) -> bytes:
        """The first bytes on a new connection."""
        return encode_frame(self._hello.to_json())

    def receive(self, data: bytes) -> list[SnapshotRequest]:
        """The requests that are complete now. Raises FrameLengthError: close the connection."""
        self._decoder.feed(data)
        requests = []
        while (frame := self._decoder.next_frame()) is not None:
            try:
                request = parse_daemon_message(frame)
            except MessageError:
                request = None
            if request is None:
                self.messages_ignored += 1
            else:
                self.requests_seen += 1
                requests.append(request)
        return requests
