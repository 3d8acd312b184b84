import pytest
from hypothesis import given
from hypothesis import strategies as st

from peepsd.feed.framing import (
    Framing,
    FramingError,
    fnv1a,
    framing_of,
    prefixed,
    record,
    unframe,
    websocket_frame,
)
from peepsd.feed.pb import introspection_pb2 as pb


@pytest.mark.parametrize(
    ("data", "checksum"), [(b"", 0x811C9DC5), (b"a", 0xE40C292C), (b"foobar", 0xBF9CF968)]
)
def test_fnv1a_gives_the_published_values(data: bytes, checksum: int) -> None:
    assert fnv1a(data) == checksum


@given(st.binary(max_size=300))
def test_fnv1a_is_what_its_definition_says(data: bytes) -> None:
    checksum = 0x811C9DC5
    for byte in data:
        checksum = ((checksum ^ byte) * 0x01000193) % 2**32
    assert fnv1a(data) == checksum


def test_a_record_is_checksum_length_message() -> None:
    assert record(b"a") == bytes.fromhex("2c290ce4 01000000 61")


@given(st.lists(st.binary(max_size=50)))
def test_a_prefixed_frame_gives_its_messages_back(messages: list[bytes]) -> None:
    frame = prefixed(messages)
    assert framing_of(frame) is Framing.PREFIXED
    assert unframe(frame) == messages
    assert unframe(frame.decode("latin-1")) == messages  # servers that send binary as text


def test_a_bare_message_is_told_from_a_prefixed_one() -> None:
    bare = pb.ServerMessage(version=pb.Version(version=1)).SerializeToString()
    assert framing_of(bare) is Framing.BARE
    assert unframe(bare) == [bare]


@pytest.mark.parametrize(
    "frame",
    [
        prefixed([b"hello"])[:-1],
        prefixed([b"hello"])[:9],
        prefixed([b"hello"])[:-1] + b"O",
        "\x01 a character beyond bytes: €",
    ],
)
def test_a_broken_frame_is_an_error(frame: bytes | str) -> None:
    with pytest.raises(FramingError):
        unframe(frame)


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65_535, 65_536, 200_000])
def test_a_websocket_frame_is_what_a_protocol_library_writes(length: int) -> None:
    import wsproto
    from wsproto.events import BytesMessage

    server = wsproto.Connection(wsproto.ConnectionType.SERVER)
    payload = b"x" * length
    assert websocket_frame(payload) == server.send(BytesMessage(data=payload))
