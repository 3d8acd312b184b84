"""Bytes to frames and back, incrementally and without IO.

Decides where a frame starts and ends, and that its length is allowed, before any of it is
stored. Refuses to know what a frame means, and where bytes come from. Memory grows with the
bytes that arrived, never with the length that was announced.

Protocol rule: u32 big-endian length N, then N bytes, 1 <= N <= limit (docs/protocol.md).
"""

import struct

from .errors import FrameLengthError
from .limits import DEFAULT_MAX_FRAME_BYTES, FRAME_HEADER_BYTES

_LENGTH = struct.Struct(">I")


def encode_frame(payload: bytes) -> bytes:
    """The frame that carries `payload`. Raises FrameLengthError if it is empty or over 4 GiB."""
    if not 0 < len(payload) < 1 << 32:
        raise FrameLengthError(len(payload), (1 << 32) - 1)
    return _LENGTH.pack(len(payload)) + payload


class FrameDecoder:
    """Feed it bytes as they come; take frames out until there are none.

    After FrameLengthError the stream is lost: every later call of next_frame raises it again.
    """

    def __init__(self, max_frame_bytes: int = DEFAULT_MAX_FRAME_BYTES) -> None:
        self._limit = max_frame_bytes
        self._buffer = bytearray()
        self._length: int | None = None  # of the frame whose header has been read

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take in bytes received from the peer, however they were split."""
        self._buffer += data

    def next_frame(self) -> bytes | None:
        """The next whole frame's payload, or None if more bytes are needed.

        Raises FrameLengthError as soon as a forbidden length is read; the frames before it
        have been returned by then.
        """
        if self._length is None:
            if len(self._buffer) < FRAME_HEADER_BYTES:
                return None
            (length,) = _LENGTH.unpack_from(self._buffer)
            if not 1 <= length <= self._limit:
                raise FrameLengthError(length, self._limit)
            self._length = length
        end = FRAME_HEADER_BYTES + self._length
        if len(self._buffer) < end:
            return None
        with memoryview(self._buffer) as view:
            payload = bytes(view[FRAME_HEADER_BYTES:end])
        # Deleting from the front of a bytearray moves its start, it does not copy the rest.
        del self._buffer[:end]
        self._length = None
        return payload

    @property
    def is_mid_frame(self) -> bool:
        """Whether a frame has begun and not ended: the end of the stream would truncate it."""
        return bool(self._buffer)

    @property
    def buffered_bytes(self) -> int:
        """Bytes held for the frame that is not complete yet."""
        return len(self._buffer)

    @property
    def missing_bytes(self) -> int | None:
        """Bytes that the current frame still lacks; None while its length is not known."""
        if self._length is None:
            return None
        return FRAME_HEADER_BYTES + self._length - len(self._buffer)
