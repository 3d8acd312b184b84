"""Frames, however the bytes are split."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peeps.wire.errors import FrameLengthError
from peeps.wire.frames import FrameDecoder, encode_frame
from peeps.wire.limits import CEILING_MAX_FRAME_BYTES

payloads = st.lists(st.binary(min_size=1, max_size=300), max_size=8)


def take_all(decoder: FrameDecoder) -> list[bytes]:
    found = []
    while (payload := decoder.next_frame()) is not None:
        found.append(payload)
    return found


def feed_split(data: bytes, cuts: list[int]) -> tuple[list[bytes], FrameDecoder]:
    decoder, found, start = FrameDecoder(), [], 0
    for cut in [*sorted(c % (len(data) + 1) for c in cuts), len(data)]:
        decoder.feed(data[start:cut])
        found += take_all(decoder)
        start = cut
    return found, decoder


@given(payloads, st.lists(st.integers(0, 10_000), max_size=20))
def test_frames_survive_any_split(messages: list[bytes], cuts: list[int]) -> None:
    data = b"".join(encode_frame(m) for m in messages)
    found, decoder = feed_split(data, cuts)
    assert found == messages
    assert not decoder.is_mid_frame


@given(payloads)
def test_frames_survive_byte_by_byte(messages: list[bytes]) -> None:
    data = b"".join(encode_frame(m) for m in messages)
    found, _ = feed_split(data, list(range(len(data))))
    assert found == messages


@given(payloads, st.binary(min_size=1, max_size=40))
def test_trailing_bytes_wait_for_the_rest(messages: list[bytes], tail: bytes) -> None:
    rest = encode_frame(tail)
    decoder = FrameDecoder()
    decoder.feed(b"".join(encode_frame(m) for m in messages) + rest[:-1])
    assert take_all(decoder) == messages
    assert decoder.is_mid_frame
    assert decoder.missing_bytes == (1 if len(rest) > 4 else None)
    decoder.feed(rest[-1:])
    assert take_all(decoder) == [tail]


@pytest.mark.parametrize("length", [0, 1025, 2**32 - 1])
def test_a_forbidden_length_is_refused_as_soon_as_it_is_read(length: int) -> None:
    decoder = FrameDecoder(max_frame_bytes=1024)
    decoder.feed(encode_frame(b"good") + struct.pack(">I", length))
    assert decoder.next_frame() == b"good"
    for _ in range(2):  # the stream is lost for good
        with pytest.raises(FrameLengthError) as caught:
            decoder.next_frame()
    assert caught.value.length == length


def test_the_limit_itself_is_allowed() -> None:
    decoder = FrameDecoder(max_frame_bytes=5)
    decoder.feed(encode_frame(b"12345"))
    assert decoder.next_frame() == b"12345"


def test_memory_grows_with_what_arrived_not_with_what_was_announced() -> None:
    decoder = FrameDecoder()
    decoder.feed(struct.pack(">I", 60_000_000) + b"x" * 10)
    assert decoder.next_frame() is None
    assert decoder.buffered_bytes == 14
    assert decoder.missing_bytes == 60_000_000 - 10


@pytest.mark.parametrize("greeting", [b"GET ", b"POST", b"\x16\x03\x01\x02", b"SSH-"])
def test_other_protocols_are_refused_at_any_allowed_limit(greeting: bytes) -> None:
    decoder = FrameDecoder(CEILING_MAX_FRAME_BYTES)
    decoder.feed(greeting)
    with pytest.raises(FrameLengthError):
        decoder.next_frame()


def test_nothing_cannot_be_framed() -> None:
    with pytest.raises(FrameLengthError):
        encode_frame(b"")
