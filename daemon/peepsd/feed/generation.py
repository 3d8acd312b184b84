"""Which generation of the protocol a client speaks, told from its first frame. Pure.

Both schemas accept nearly every frame of the other, so that a frame decodes proves nothing;
what tells is which fields stand there and with which wire types. Decided once and then kept
for the connection: most later frames of the two are the same bytes. Refuses to know what the
fields mean.
"""

import enum
from collections.abc import Iterator
from dataclasses import dataclass

_VARINT, _I64, _LEN, _I32 = 0, 1, 2, 5
_WIRE_TYPES = {1: {_LEN}, 2: {_VARINT}, 3: {_VARINT}, 4: {_VARINT, _LEN}, 5: {_LEN}}
_SIGNAL_NUMBERS = frozenset({1, 2, 3, 4, 10, 11, 12})
"""Every number that a signal other than SEND_DATA has, or ever had."""


class Generation(enum.Enum):
    """Signals came first (2019), commands replaced them (2020)."""

    SIGNAL = "signal"
    COMMAND = "command"


class NotProtobuf(ValueError):
    """A frame is no message of either generation."""


@dataclass(frozen=True, slots=True)
class Field:
    """One top-level field as it stands on the wire."""

    number: int
    wire_type: int
    value: int
    """Of a varint; else the length of what stands there."""


def decide(frame: bytes) -> Generation:
    """Which generation's client would send `frame` first. Raises NotProtobuf.

    Residual errors, for which `?protocol=` is offered: a HELLO with version, without
    configuration and with an id that is also a signal; a signal without version and content.
    """
    fields = {field.number: field for field in scan(frame)}
    source = fields.get(4)
    if 5 in fields or (source is not None and source.wire_type == _VARINT):
        return Generation.COMMAND
    if source is not None:
        return Generation.SIGNAL
    signal_or_id = fields[2].value if 2 in fields else 0
    if signal_or_id == 0:
        return Generation.SIGNAL  # the ids of commands start at 1
    if 3 in fields and fields[3].value != 0:
        return Generation.SIGNAL  # a first command must be HELLO, which is 0
    if signal_or_id not in _SIGNAL_NUMBERS:
        return Generation.COMMAND
    return Generation.SIGNAL if 1 in fields else Generation.COMMAND


def scan(frame: bytes) -> Iterator[Field]:
    """The top-level fields of a client's message, in order.

    Raises NotProtobuf if it is none, or if a field that both generations know has a type that
    neither gives it. Fields of later revisions are passed over.
    """
    at = 0
    while at < len(frame):
        tag, at = _varint(frame, at)
        number, wire_type = tag >> 3, tag & 7
        if number == 0:
            raise NotProtobuf("field number 0")
        if wire_type not in _WIRE_TYPES.get(number, {wire_type}):
            raise NotProtobuf(f"field {number} has wire type {wire_type}")
        value, at = _value(frame, at, wire_type)
        if at > len(frame):
            raise NotProtobuf(f"field {number} is cut off")
        yield Field(number, wire_type, value)


def _value(frame: bytes, at: int, wire_type: int) -> tuple[int, int]:
    if wire_type == _VARINT:
        return _varint(frame, at)
    if wire_type == _LEN:
        length, at = _varint(frame, at)
        return length, at + length
    if wire_type == _I64:
        return 8, at + 8
    if wire_type == _I32:
        return 4, at + 4
    raise NotProtobuf(f"wire type {wire_type}")


def _varint(frame: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(frame):
            raise NotProtobuf("it ends inside a number")
        byte = frame[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
    raise NotProtobuf("a number of more than ten bytes")
