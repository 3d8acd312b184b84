"""Requests and hellos."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peeps.wire.errors import MessageError
from peeps.wire.messages import Hello, SnapshotRequest, parse_daemon_message

int64 = st.integers(-(2**63), 2**63 - 1)


@given(int64, int64, st.none() | int64)
def test_a_request_survives_the_wire(sid: int, timeout: int, at: int | None) -> None:
    request = SnapshotRequest(sid, timeout, at)
    assert parse_daemon_message(request.to_json()) == request


def test_the_request_of_the_seed_is_understood() -> None:
    seed = b'{\n  "type": "snapshot_request",\n  "snapshot_id": 42,\n  "timeout_ms": 5000\n}'
    assert parse_daemon_message(seed) == SnapshotRequest(42, 5000, None)


def test_a_newer_daemon_may_say_more() -> None:
    assert parse_daemon_message(b'{"type": "dance"}') is None
    more = b'{"type":"snapshot_request","snapshot_id":1,"timeout_ms":2,"new":[1]}'
    assert parse_daemon_message(more) == SnapshotRequest(1, 2)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"nope",
        b"\xff",
        b"[]",
        b"null",
        b"[" * 100_000,
        b'{"type":"snapshot_request"}',
        b'{"type":"snapshot_request","snapshot_id":"1","timeout_ms":2}',
        b'{"type":"snapshot_request","snapshot_id":true,"timeout_ms":2}',
    ],
)
def test_everything_else_is_a_message_error(payload: bytes) -> None:
    with pytest.raises(MessageError):
        parse_daemon_message(payload)


@pytest.mark.parametrize(
    ("hello", "expected"),
    [
        (Hello("web", 1), {"type": "hello", "process": "web", "pid": 1}),
        (
            Hello("web", 1, "h", "peeps-python/0", "s3cret"),
            {
                "type": "hello",
                "process": "web",
                "pid": 1,
                "host": "h",
                "agent": "peeps-python/0",
                "token": "s3cret",
            },
        ),
    ],
)
def test_a_hello_says_only_what_is_known(hello: Hello, expected: dict[str, Any]) -> None:
    assert json.loads(hello.to_json()) == expected
