"""Recordings of a feed: the file format, read and written as a stream. No protobuf.

A version, then records of checksum, length and message (framing.py) until the end of the file.
Decides how damage is survived: whatever does not check out is reported with its place, and
reading goes on at the next record that does. A torn tail, as a killed recorder leaves it, is
reported like any other damage. Reading costs a multiple of the file's size whatever is in it:
what looks like a record is looked at closely before it is summed, and in a file made to look
so everywhere the sums are rationed. Refuses to know what messages mean.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from .framing import (
    MAX_MESSAGE_BYTES,
    RECORD_HEADER,
    VERSION_BYTES,
    fnv1a,
    record,
)

_CHUNK_BYTES = 256 * 1024
_TORN = "it ends inside a record"
_VERSION_TAG = 0x0A
"""Every message starts with its version: field 1, a message of one number."""
_MAX_VERSION_BYTES = 6
_PAYLOAD_TAGS = frozenset(number << 3 | 2 for number in range(2, 16))
"""Then comes its payload, and nothing else: one message field, of those there are or may be."""
_HEAD_BYTES = 2 + _MAX_VERSION_BYTES + 1 + 5
"""As much of a message as tells whether it can be one: tags, version, length."""
_VAIN_SUMS = 4
"""Bytes that are summed in vain, for each byte read. A damaged record is summed once; only a
file made for it asks for more."""


@dataclass(frozen=True, slots=True)
class Record:
    """One message as it was recorded."""

    offset: int
    message: bytes


@dataclass(frozen=True, slots=True)
class Damage:
    """A stretch of the file that cannot be read."""

    offset: int
    length: int
    reason: str


class RecordingReader:
    """Takes the bytes of a recording as they come; gives records and damage in order."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._offset = 0
        """Of the buffer's first byte in the file."""
        self._is_past_version = False
        self._damaged_at: int | None = None
        """Where reading lost its place; None: it knows where it is."""
        self._reason = ""
        self._may_sum_in_vain = 0

    def feed(self, data: bytes) -> Iterator[Record | Damage]:
        """What can be told with these further bytes."""
        self._buffer += data
        self._may_sum_in_vain += len(data) * _VAIN_SUMS
        return self._read(is_end=False)

    def finish(self) -> Iterator[Damage | Record]:
        """What is left, now that nothing follows."""
        yield from self._read(is_end=True)
        if self._buffer and self._damaged_at is None:
            self._damaged_at, self._reason = self._offset, _TORN
        if self._damaged_at is not None:
            end = self._offset + len(self._buffer)
            yield Damage(self._damaged_at, end - self._damaged_at, self._reason)

    def _read(self, *, is_end: bool) -> Iterator[Record | Damage]:
        if not self._is_past_version:
            if len(self._buffer) < len(VERSION_BYTES):
                return
            self._drop(len(VERSION_BYTES))  # readers of this format ignore the version
            self._is_past_version = True
        while (found := self._next(is_end)) is not None:
            if self._damaged_at is not None:
                yield Damage(self._damaged_at, found.offset - self._damaged_at, self._reason)
                self._damaged_at = None
            yield found

    def _next(self, is_end: bool) -> Record | None:
        """The next sound record, taken out; None: more bytes are needed."""
        while True:
            if self._damaged_at is not None and not self._find_candidate(is_end):
                return None
            if len(self._buffer) < RECORD_HEADER.size:
                return None
            checksum, length = RECORD_HEADER.unpack_from(self._buffer)
            end = RECORD_HEADER.size + length
            if length > MAX_MESSAGE_BYTES:
                self._lose_place(f"a record claims {length} bytes")
            elif len(self._buffer) < end:
                if not is_end:
                    return None
                self._lose_place(_TORN)
            elif length > self._may_sum_in_vain:
                self._lose_place("too much before it does not check out")
            elif (found := self._checked(checksum, length)) is not None:
                return found
            else:
                self._lose_place("a checksum is wrong")

    def _checked(self, checksum: int, length: int) -> Record | None:
        """The record in front, taken out; None: it does not check out."""
        end = RECORD_HEADER.size + length
        message = bytes(self._buffer[RECORD_HEADER.size : end])
        if fnv1a(message) != checksum:
            self._may_sum_in_vain -= length
            return None
        offset = self._offset
        self._drop(end)
        return Record(offset, message)

    def _lose_place(self, reason: str) -> None:
        if self._damaged_at is None:
            self._damaged_at, self._reason = self._offset, reason
        self._drop(1)

    def _find_candidate(self, is_end: bool) -> bool:
        """Move to where a record may begin; False: nowhere, or more bytes are needed to tell."""
        at = RECORD_HEADER.size
        while (at := self._buffer.find(_VERSION_TAG, at)) >= 0:
            length = self._length_before(at)
            head = self._buffer[at : at + min(length, _HEAD_BYTES)]
            is_whole = len(head) == min(length, _HEAD_BYTES)
            may_be = _is_head_of(length, head) if is_whole else not is_end
            if may_be:
                self._drop(at - RECORD_HEADER.size)
                return is_whole
            at += 1
        self._drop(max(len(self._buffer) - RECORD_HEADER.size, 0))
        return False

    def _length_before(self, at: int) -> int:
        """What the record claims whose message would begin there."""
        _, length = RECORD_HEADER.unpack_from(self._buffer, at - RECORD_HEADER.size)
        return int(length)

    def _drop(self, count: int) -> None:
        del self._buffer[:count]
        self._offset += count


def _is_head_of(length: int, head: bytearray) -> bool:
    """Whether a message of `length` bytes can begin so: a version, and a payload that fills it."""
    if length < 2 or length > MAX_MESSAGE_BYTES or head[1] > _MAX_VERSION_BYTES:
        return False
    at = 2 + head[1]
    if at >= length:
        return at == length
    if head[at] not in _PAYLOAD_TAGS:
        return False
    payload_bytes = 0
    for shift, byte in enumerate(head[at + 1 :]):
        payload_bytes |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            return at + 2 + shift + payload_bytes == length
    return False


def read_chunks(chunks: Iterable[bytes]) -> Iterator[Record | Damage]:
    """Records and damage of a recording that comes in pieces."""
    reader = RecordingReader()
    for chunk in chunks:
        yield from reader.feed(chunk)
    yield from reader.finish()


def read_file(path: Path) -> Iterator[Record | Damage]:
    """Records and damage of a file, without holding it in memory. Raises OSError."""
    with path.open("rb") as file:
        yield from read_chunks(iter(lambda: file.read(_CHUNK_BYTES), b""))


class RecordingWriter:
    """Writes a recording. Each record is handed over whole, so that a kill tears at most one."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.messages = 0
        self.bytes = self._file.write(VERSION_BYTES)

    def write(self, message: bytes) -> None:
        """Append one message."""
        self.bytes += self._file.write(record(message))
        self.messages += 1
