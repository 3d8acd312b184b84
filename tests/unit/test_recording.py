"""The file format, and how much of a damaged file survives. R33."""

import hashlib
import io
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peepsd.feed import recording
from peepsd.feed.framing import fnv1a, prefixed
from peepsd.feed.inspection import Inspection
from peepsd.feed.pb import introspection_pb2 as pb
from peepsd.feed.recording import (
    Damage,
    Record,
    RecordingReader,
    RecordingWriter,
    read_chunks,
    read_file,
)

SAMPLE = Path(__file__).parents[3] / "shared/data/observer-sample-1min.mock"
needs_sample = pytest.mark.skipif(
    not SAMPLE.exists(), reason=f"{SAMPLE.name} is no part of the repository and not beside it"
)


def event(n: int) -> bytes:
    message = pb.ServerMessage(version=pb.Version(version=1), event=pb.Event(ts=n, content="x" * n))
    return message.SerializeToString()


def written(messages: list[bytes]) -> bytes:
    file = io.BytesIO()
    writer = RecordingWriter(file)
    for message in messages:
        writer.write(message)
    assert writer.messages == len(messages)
    assert writer.bytes == len(file.getvalue())
    return file.getvalue()


def messages_of(items: list[Record | Damage]) -> list[bytes]:
    return [item.message for item in items if isinstance(item, Record)]


def damage_of(items: list[Record | Damage]) -> list[Damage]:
    return [item for item in items if isinstance(item, Damage)]


def test_r33_a_file_is_a_version_and_records_with_checksums() -> None:
    message = event(3)
    expected = struct.pack("<III", 1, fnv1a(message), len(message)) + message
    assert written([message]) == expected == prefixed([message])


@given(st.lists(st.integers(0, 40)), st.integers(1, 30))
def test_what_is_written_is_read_in_pieces_of_any_size(sizes: list[int], piece: int) -> None:
    messages = [event(n) for n in sizes]
    data = written(messages)
    chunks = [data[at : at + piece] for at in range(0, len(data), piece)]
    for cut in ([data], chunks):
        items = list(read_chunks(cut))
        assert messages_of(items) == messages
        assert not damage_of(items)
    offset = 4
    for item in items:
        assert isinstance(item, Record)
        assert item.offset == offset
        offset += 8 + len(item.message)


def test_an_incomplete_tail_waits_for_the_rest() -> None:
    data = written([event(5), event(6)])
    reader = RecordingReader()
    assert len(list(reader.feed(data[:-3]))) == 1
    assert messages_of(list(reader.feed(data[-3:]))) == [event(6)]
    assert list(reader.finish()) == []


@given(st.integers(5, 200))
def test_a_torn_tail_is_reported_and_costs_only_itself(keep: int) -> None:
    messages = [event(n) for n in range(12)]
    data = written(messages)[:keep]
    items = list(read_chunks([data]))
    assert messages_of(items) == messages[: len(messages_of(items))]
    total = (
        4 + sum(8 + len(m) for m in messages_of(items)) + sum(d.length for d in damage_of(items))
    )
    assert total == len(data)
    assert len(damage_of(items)) <= 1


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (0, b"\xff\xff\xff\xff"),  # checksum
        (4, b"\xff\xff\xff\xff"),  # an absurd length
        (4, b"\x05\x00\x00\x00"),  # too short
        (4, b"\x00\x02\x00\x00"),  # too long: it swallows its successors
        (8, b"\xff"),  # the message
        (20, b"\x0a\x0a\x0a"),
    ],
)
def test_damage_is_reported_and_skipped(where: int, value: bytes) -> None:
    messages = [event(40 + n) for n in range(20)]
    data = bytearray(written(messages))
    begin = 4 + sum(8 + len(m) for m in messages[:3])
    data[begin + where : begin + where + len(value)] = value
    for chunk in (len(data), 7):
        chunks = [bytes(data[at : at + chunk]) for at in range(0, len(data), chunk)]
        items = list(read_chunks(chunks))
        assert messages_of(items) == messages[:3] + messages[4:]
        [damage] = damage_of(items)
        assert damage.offset == begin
        assert damage.length == 8 + len(messages[3])
        assert damage.reason


@given(
    st.integers(4, 2_000),
    st.binary(min_size=1, max_size=60),
    st.sampled_from(["overwrite", "insert", "delete"]),
)
def test_wherever_damage_is_all_bytes_are_accounted_for(at: int, junk: bytes, how: str) -> None:
    messages = [event(n % 60) for n in range(50)]
    data = bytearray(written(messages))
    at = min(at, len(data))
    if how == "insert":
        data[at:at] = junk
    elif how == "delete":
        del data[at : at + len(junk)]
    else:
        data[at : at + len(junk)] = junk
    items = list(read_chunks([bytes(data)]))
    read = messages_of(items)
    assert len(read) >= 50 - len(junk) - 2
    end = 4
    for item in items:
        assert item.offset == end
        end += 8 + len(item.message) if isinstance(item, Record) else item.length
    assert end == len(data)
    assert all(message in messages for message in read)


@pytest.mark.parametrize("data", [b"", b"\x01", b"\x01\x00\x00\x00"])
def test_an_empty_file_has_no_records(data: bytes) -> None:
    assert messages_of(list(read_chunks([data]))) == []


def test_the_version_is_ignored() -> None:
    data = b"\x09\x00\x00\x00" + written([event(1)])[4:]
    assert messages_of(list(read_chunks([data]))) == [event(1)]


def looks_like_a_record(length: int) -> bytes:
    """A header and the beginning of a message that would be sound, if its checksum were right."""
    version, payload_tag = b"\x0a\x00", b"\x12"
    payload = length - len(version) - 1
    while True:
        head = version + payload_tag + varint(payload)
        if len(head) + payload == length:
            return struct.pack("<II", 1, length) + head
        payload -= 1


def varint(number: int) -> bytes:
    low, high = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(high) if high else bytes([low])


def decoys(size: int, sound: bytes = b"") -> bytes:
    """As many records as fit that claim the rest of the file and do not check out."""
    made = bytearray(b"\x01\0\0\0")
    while len(made) < size - 32:
        made += looks_like_a_record(size - len(made) - 8) + sound
    return bytes(made.ljust(size, b"\0"))


def summed(data: bytes, monkeypatch: pytest.MonkeyPatch) -> tuple[int, list[Record | Damage]]:
    """How many bytes reading it sums, and what is read."""
    sizes = []

    def counting(message: bytes) -> int:
        sizes.append(len(message))
        return fnv1a(message) if len(message) < 1_000 else 0

    monkeypatch.setattr(recording, "fnv1a", counting)
    chunks = [data[at : at + 4_096] for at in range(0, len(data), 4_096)]
    items = list(read_chunks(chunks))
    return sum(sizes), items


@pytest.mark.parametrize("sound", [b"", prefixed([event(1)])[4:]])
def test_reading_costs_a_multiple_of_the_size_whatever_is_in_it(
    sound: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = decoys(100_000, sound)
    cost, items = summed(data, monkeypatch)
    assert cost < 6 * len(data)  # without rations: some thousand times its size
    assert sum(d.length for d in damage_of(items)) + 4 + sum(
        8 + len(m) for m in messages_of(items)
    ) == len(data)


def test_what_only_resembles_a_record_is_not_summed(monkeypatch: pytest.MonkeyPatch) -> None:
    decoy = struct.pack("<II", 1, 1_000) + b"\x0a\x0a\x0a\x0a"
    data = written([event(2)]) + decoy * 1_000 + prefixed([event(1)] * 100)[4:]
    cost, items = summed(data, monkeypatch)
    assert messages_of(items) == [event(2)] + [event(1)] * 100
    assert cost < 5_000


@needs_sample
def test_the_sample_recording_is_read_whole() -> None:
    data = SAMPLE.read_bytes()
    assert len(data) == 1_865_868
    assert hashlib.sha256(data).hexdigest().startswith("0236d8dc")
    inspection = Inspection()
    checksums, first = 0, None
    kinds = []
    for item in read_file(SAMPLE):
        inspection.add(item)
        assert isinstance(item, Record)
        first = first or item
        checksums ^= fnv1a(item.message)
        decoded = pb.ServerMessage.FromString(item.message)
        kinds.append(decoded.WhichOneof("payload"))
        assert decoded.SerializeToString() == item.message
        assert decoded.HasField("version")
        assert decoded.version.version == 0
        if decoded.HasField("state"):
            state = decoded.state
            assert state.instant_ts - state.start_ts == 1_999
            assert state.snapshot_duration_ms == 2_000
            connections = state.subsystems.connections
            assert state.traffic.traffic_in.cum_bytes == sum(
                c.traffic.traffic_in.cum_bytes for c in connections
            )
    assert first is not None
    assert (fnv1a(first.message), len(first.message)) == (0x8AB4A323, 344)
    assert checksums == 0x3D026653
    assert (kinds[0], kinds[-1]) == ("runtime", "state")
    assert inspection.damage == []
    assert inspection.records == {"runtime": 1, "response": 1, "event": 937, "state": 30}
    assert inspection.message_bytes == (13, 19_336)
    assert (inspection.connection_rows, len(inspection.connection_ids)) == (234, 10)
    assert (inspection.stream_rows, len(inspection.stream_ids)) == (2_056, 96)
    assert inspection.connections_first_last == (6, 10)
    assert inspection.instant_ts == (1_592_210_386_714, 1_592_210_444_714)
    assert inspection.event_ts == (1_592_210_384_773, 1_592_210_444_013)
    assert inspection.event_types == {
        "InboundDHTQuery": 465,
        "OutboundDHTQuery": 462,
        "PeerConnecting": 4,
        "PeerDisconnecting": 6,
    }
    assert inspection.events_out_of_order == 458
    assert inspection.config is not None
    assert inspection.config.retention_period_ms == 60_000
    assert inspection.config.state_snapshot_interval_ms == 2_000
    assert inspection.dht_buckets_peers == (6, 104)
    assert inspection.gaps == []
