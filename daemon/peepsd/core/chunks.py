"""Rows in portions: what one statement can take, and what crosses from one process to another.

Decides how large a portion is and how it is packed. Refuses to know what the rows mean.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final

import msgspec
from msgspec import Raw, Struct

Value = str | memoryview | None
"""A text, as such or as UTF-8."""

ROWS: Final = 1024
HEAVY_BYTES: Final = 1024 * 1024
"""A portion is closed when it has so many; a row that has them by itself is one by itself."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[str | None]).decode
_decode_utf8 = msgspec.msgpack.Decoder(list[memoryview | None]).decode


class Chunk(Struct, frozen=True, array_like=True):
    """At most ROWS rows, free of duplicates and sorted by key, end to end."""

    count: int
    values: list[str | None] = []
    packed: Raw = Raw(b"\xc0")
    """The values as msgpack, if they are not there themselves."""
    is_heavy: bool = False
    """Whether it is one row of more than HEAVY_BYTES."""

    def unpacked(self) -> Sequence[Value]:
        """The values; packed ones are unpacked each time, so that they live no longer than
        they are used, and heavy ones are not even copied: they are UTF-8."""
        if self.values:
            return self.values
        return _decode_utf8(self.packed) if self.is_heavy else _decode(self.packed)

    def as_packed(self) -> "Chunk":
        """The same, to be sent."""
        values: Sequence[str | bytes | None] = self.values
        if self.is_heavy:
            values = [value if value is None else value.encode() for value in self.values]
        return Chunk(self.count, packed=Raw(_encode(values)), is_heavy=self.is_heavy)


def as_text(value: Value) -> str | None:
    """The text of a value."""
    return str(value, "utf-8") if isinstance(value, memoryview) else value


def chunked(rows: Sequence[Sequence[str | None]], size: int) -> list[Chunk]:
    """The rows, that hold at most `size` bytes, as chunks."""
    chunks = []
    for start in range(0, len(rows), ROWS):
        part = rows[start : start + ROWS]
        for portion in [part] if size < HEAVY_BYTES else _by_weight(part):
            is_heavy = (
                size >= HEAVY_BYTES and len(portion) == 1 and _weight(portion[0]) > HEAVY_BYTES
            )
            chunks.append(
                Chunk(len(portion), list(chain.from_iterable(portion)), is_heavy=is_heavy)
            )
    return chunks


def _by_weight(
    rows: Sequence[Sequence[str | None]],
) -> Iterator[Sequence[Sequence[str | None]]]:
    start = weight = 0
    for end, row in enumerate(rows):
        own = _weight(row)
        if end > start and weight + own > HEAVY_BYTES:
            yield rows[start:end]
            start, weight = end, 0
        weight += own
    yield rows[start:]


def _weight(row: Sequence[str | None]) -> int:
    """Bytes that the row's texts take at most."""
    return sum(len(value) for value in row if value)
