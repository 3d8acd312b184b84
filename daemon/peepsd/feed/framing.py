"""How protobuf messages lie in WebSocket frames and in files. No IO, no protobuf.

Decides bytes around messages: bare (one message is one frame) and prefixed (what deployed
observer tools speak: a version, then records of checksum, length and message). A recording is
one long prefixed frame. Refuses to know what a message means.
"""

import enum
import struct
from collections.abc import Iterable

FRAME_VERSION = 1
VERSION_BYTES = struct.pack("<I", FRAME_VERSION)
RECORD_HEADER = struct.Struct("<II")  # fnv1a32 of the message, its length
MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""No message of a recording or of a server is longer; a longer length is corruption."""

_BINARY = 0x82  # final, opcode 2 (RFC 6455 section 5.2)
_OFFSET_BASIS = 0x811C9DC5
_PRIME = 0x01000193


class FramingError(ValueError):
    """A frame is not what its framing promises."""


class Framing(enum.Enum):
    """How a server's messages are put into WebSocket frames."""

    BARE = "bare"
    PREFIXED = "prefixed"


def fnv1a(data: bytes, checksum: int = _OFFSET_BASIS) -> int:
    """The 32-bit FNV-1a checksum of `data`, or of what had `checksum` and `data` after it.

    Four bytes at a time: the value is cut to 32 bits after each four only, which changes
    nothing, because what is cut never reaches the lower bits.
    """
    whole = len(data) & ~3
    bytes_ = iter(data[:whole])
    for a, b, c, d in zip(bytes_, bytes_, bytes_, bytes_, strict=True):
        checksum = (((checksum ^ a) * _PRIME ^ b) * _PRIME ^ c) * _PRIME ^ d
        checksum = checksum * _PRIME & 0xFFFFFFFF
    for byte in data[whole:]:
        checksum = (checksum ^ byte) * _PRIME & 0xFFFFFFFF
    return checksum


def record(message: bytes, checksum: int | None = None) -> bytes:
    """One record: checksum (made here unless it is given), length, message."""
    if checksum is None:
        checksum = fnv1a(message)
    return RECORD_HEADER.pack(checksum, len(message)) + message


def varint(number: int) -> bytes:
    """A number as protobuf writes lengths."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def prefixed(messages: Iterable[bytes]) -> bytes:
    """One prefixed frame that holds these messages."""
    return VERSION_BYTES + b"".join(record(message) for message in messages)


def websocket_frame(payload: bytes) -> bytes:
    """A whole binary message as a server writes it: unmasked, uncompressed, in one frame."""
    length = len(payload)
    if length < 126:
        return bytes((_BINARY, length)) + payload
    if length < 1 << 16:
        return struct.pack("!BBH", _BINARY, 126, length) + payload
    return struct.pack("!BBQ", _BINARY, 127, length) + payload


def framing_of(frame: bytes) -> Framing:
    """How a server frames its messages, told from one of its frames.

    A bare message never starts with byte 1: that would be field 0, which does not exist.
    """
    return Framing.PREFIXED if frame[:1] == b"\x01" else Framing.BARE


def unframe(frame: bytes | str) -> list[bytes]:
    """The messages in one frame from a server, whichever framing it uses.

    A text frame is taken as one byte a character, which is how some servers send binary.
    Raises FramingError for a torn record, a wrong checksum or other text.
    """
    if isinstance(frame, str):
        try:
            frame = frame.encode("latin-1")
        except UnicodeEncodeError:
            raise FramingError("a text frame with characters that are no bytes") from None
    if framing_of(frame) is Framing.BARE:
        return [frame]
    return _records(memoryview(frame)[len(VERSION_BYTES) :])


def _records(rest: memoryview) -> list[bytes]:
    messages: list[bytes] = []
    while rest:
        if len(rest) < RECORD_HEADER.size:
            raise FramingError("a record is cut off inside its header")
        checksum, length = RECORD_HEADER.unpack_from(rest)
        message = bytes(rest[RECORD_HEADER.size : RECORD_HEADER.size + length])
        if len(message) < length:
            raise FramingError(f"a record of {length} bytes ends after {len(message)}")
        if fnv1a(message) != checksum:
            raise FramingError(f"a record of {length} bytes has a wrong checksum")
        messages.append(message)
        rest = rest[RECORD_HEADER.size + length :]
    return messages
