import json

import pytest

from peeps.daemon_session import MAX_REQUEST_BYTES, DaemonSession
from peeps.identity import Identity
from peeps.wire.errors import FrameLengthError
from peeps.wire.frames import FrameDecoder, encode_frame
from peeps.wire.messages import SnapshotRequest


def session(token=None):
    return DaemonSession(Identity("svc", 7, "svc-7-abc"), "box", "1.2.3", token)


def frame(message):
    return encode_frame(json.dumps(message).encode())


REQUEST = {"type": "snapshot_request", "snapshot_id": 42, "timeout_ms": 5000}


@pytest.mark.parametrize("token", [None, "secret"])
def test_the_greeting_is_one_hello(token):
    decoder = FrameDecoder()
    decoder.feed(session(token).greeting())
    expected = {
        "type": "hello",
        "process": "svc",
        "pid": 7,
        "host": "box",
        "agent": "peeps-python/1.2.3",
    }
    if token:
        expected["token"] = token
    assert json.loads(decoder.next_frame()) == expected
    assert not decoder.is_mid_frame


@pytest.mark.parametrize("split", [1, 3, 10_000])
def test_requests_come_out_however_the_bytes_were_split(split):
    data = frame(REQUEST) + frame({**REQUEST, "snapshot_id": 43, "capture_at_ns": 9})
    found = []
    one = session()
    for start in range(0, len(data), split):
        found += one.receive(data[start : start + split])
    assert found == [SnapshotRequest(42, 5000), SnapshotRequest(43, 5000, 9)]
    assert one.requests_seen == 2


@pytest.mark.parametrize(
    "payload",
    [b"no json", b"[]", b'{"type":"from the future"}', b'{"type":"snapshot_request"}', b"\xff"],
)
def test_what_is_not_understood_is_counted_and_passed_over(payload):
    one = session()
    assert one.receive(encode_frame(payload) + frame(REQUEST)) == [SnapshotRequest(42, 5000)]
    assert one.messages_ignored == 1


@pytest.mark.parametrize("length", [0, MAX_REQUEST_BYTES + 1])
def test_a_forbidden_length_ends_the_connection(length):
    with pytest.raises(FrameLengthError):
        session().receive(length.to_bytes(4, "big"))
