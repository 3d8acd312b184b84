"""What one introspection server may cost the others: nothing."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio
import trio.testing

from peeps.wire.errors import MessageError
from peepsd.core.registry import Registry
from peepsd.feed import participants
from peepsd.feed.connection import FeedConnection
from peepsd.feed.libp2p_graph import NodeReply
from peepsd.feed.participants import House, Participant, run_participants
from peepsd.feed.pb import introspection_pb2 as pb


async def test_a_fault_of_ours_with_one_server_is_no_end(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    dialled: list[str] = []
    enough = trio.Event()

    @asynccontextmanager
    async def broken(url: str) -> AsyncIterator[Any]:
        dialled.append(url)
        if dialled.count("ws://a:1/") >= 3:
            enough.set()
        raise LookupError("nobody thought of this")
        yield

    monkeypatch.setattr(participants, "connected", broken)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_participants, ("ws://a:1/", "ws://b:1/"), cast(House, None))
        with trio.fail_after(60):
            await enough.wait()
        nursery.cancel_scope.cancel()
    assert "ws://b:1/" in dialled


async def test_others_run_while_a_graph_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    is_made_by: list[threading.Thread] = []

    def made(*_args: Any) -> NodeReply:
        is_made_by.append(threading.current_thread())
        return NodeReply(b"", [])

    async def decode(_payload: bytes) -> Any:
        raise MessageError("that is all")

    failures: list[str] = []
    house = SimpleNamespace(
        registry=Registry(),
        rounds=SimpleNamespace(failed=lambda _connection, _snapshot, text: failures.append(text)),
        decode=decode,
    )
    connection = SimpleNamespace(url="ws://h:1/", name="ws://h:1/", local_address="127.0.0.1:2")
    monkeypatch.setattr(participants, "graph_reply", made)
    participant = Participant(cast(FeedConnection, connection), cast(House, house))
    participant._state_at_s = trio.current_time()
    await participant._reply(pb.State(), 1, trio.current_time())
    assert failures == ["that is all"]
    assert is_made_by != [threading.current_thread()]
