import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peepsd.feed.generation import Generation, NotProtobuf, decide, scan
from peepsd.feed.pb import introspection_pb2 as pb

SIGNAL, COMMAND = Generation.SIGNAL, Generation.COMMAND

# First frames of clients that exist, byte by byte.
REAL = [
    ("", SIGNAL, "an empty ready signal"),
    ("0a00", SIGNAL, "SEND_DATA of the JavaScript client"),
    ("0a020801", SIGNAL, "SEND_DATA STATE"),
    ("0a0208011801", SIGNAL, "SEND_DATA RUNTIME"),
    ("0a001001", SIGNAL, "the oldest START"),
    ("0a00100122027b7d", SIGNAL, "pause with content"),
    ("0a00100222027b7d", SIGNAL, "unpause with content"),
    ("0a00100a22077b2261223a317d", SIGNAL, "config"),
    ("0a020801100b", SIGNAL, "START_PUSH_EMITTER STATE"),
    ("0a020801100b1802", SIGNAL, "START_PUSH_EMITTER EVENTS"),
    ("0a020801100c1803", SIGNAL, "STOP_PUSH_EMITTER TRACE"),
    ("0a0010012a0708c0a90710d00f", COMMAND, "HELLO with configuration"),
    ("10012a00", COMMAND, "HELLO with an empty configuration"),
    ("1001", COMMAND, "HELLO id 1 of a command line client"),
    ("0a0208011005", COMMAND, "HELLO id 5 with version"),
    ("0a0010e807", COMMAND, "HELLO id 1000 with version"),
    ("0a00100218012001", COMMAND, "REQUEST RUNTIME"),
    ("0a00100318022002", COMMAND, "PUSH_ENABLE EVENTS"),
]


@pytest.mark.parametrize(
    ("frame", "generation"), [(f, g) for f, g, _ in REAL], ids=[d for *_, d in REAL]
)
def test_a_first_frame_tells_its_generation(frame: str, generation: Generation) -> None:
    assert decide(bytes.fromhex(frame)) is generation


@pytest.mark.parametrize(
    "frame",
    [
        b"\xff",
        b"\x0a\x05ab",  # a length beyond the end
        b"\x00\x01",  # field 0
        b"\x12\x01a",  # field 2 as bytes
        b"\x08\x01",  # field 1 as a number
        b"\x28\x01",  # field 5 as a number
        b"\x10" + b"\x80" * 11,
        b"\x0b",  # groups are gone
        b"GET / HTTP/1.1",
        b'{"type":"hello"}',
    ],
)
def test_what_is_no_client_message_is_refused(frame: bytes) -> None:
    with pytest.raises(NotProtobuf):
        decide(frame)


def test_fields_of_later_revisions_are_passed_over() -> None:
    frame = pb.ClientSignal().SerializeToString() + bytes.fromhex(
        "3205616263646539 0102030405060708 3d01020304"
    )
    assert [field.number for field in scan(frame)] == [6, 7, 7]


@given(
    signal=st.sampled_from(pb.ClientSignal.Signal.values()),
    source=st.sampled_from(pb.ClientSignal.DataSource.values()),
    content=st.text(max_size=20),
)
def test_every_signal_with_a_version_is_told(
    signal: pb.ClientSignal.Signal, source: pb.ClientSignal.DataSource, content: str
) -> None:
    message = pb.ClientSignal(
        version=pb.Version(version=1), signal=signal, data_source=source, content=content
    )
    assert decide(message.SerializeToString()) is SIGNAL


@given(
    id=st.integers(1, 2**64 - 1),
    retention=st.integers(0, 2**64 - 1),
    has_version=st.booleans(),
)
def test_every_hello_with_configuration_is_told(id: int, retention: int, has_version: bool) -> None:
    message = pb.ClientCommand(id=id, config=pb.Configuration(retention_period_ms=retention))
    if has_version:
        message.version.version = 1
    assert decide(message.SerializeToString()) is COMMAND


@given(st.binary(max_size=60))
def test_any_bytes_are_decided_or_refused(frame: bytes) -> None:
    with contextlib.suppress(NotProtobuf):
        assert decide(frame) in Generation
