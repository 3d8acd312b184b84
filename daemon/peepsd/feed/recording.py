"""Recordings of a feed: the file format, read and written as a stream. No protobuf.

A version, then records of checksum, length and message (framing.py) until the end of the file.
Decides how damage is survived: whatever does not check out is reported with its place, and
reading goes on at the next record that does. A torn tail, as a killed recorder leaves it, is
reported like any other damage. Refuses to know what messages mean.
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
_FIRST_BYTE = 0x0A
"""Every message starts with its version, which is field 1."""


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

    def feed(self, data: bytes) -> Iterator[Record | Damage]:
        """What can be told with these further bytes."""
        self._buffer += data
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
            if self._damaged_at is not None and not self._find_candidate():
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
            else:
                message = bytes(self._buffer[RECORD_HEADER.size : end])
                if fnv1a(message) == checksum:
                    offset = self._offset
                    self._drop(end)
                    return Record(offset, message)
                self._lose_place("a checksum is wrong")

    def _lose_place(self, reason: str) -> None:
        if self._damaged_at is None:
            self._damaged_at, self._reason = self._offset, reason
        self._drop(1)

    def _find_candidate(self) -> bool:
        """Move to where a record may begin: where a message's first byte is in its place."""
        at = self._buffer.find(_FIRST_BYTE, RECORD_HEADER.size)
        if at < 0:
            self._drop(max(len(self._buffer) - RECORD_HEADER.size, 0))
            return False
        self._drop(at - RECORD_HEADER.size)
        return True

    def _drop(self, count: int) -> None:
        del self._buffer[:count]
        self._offset += count


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
