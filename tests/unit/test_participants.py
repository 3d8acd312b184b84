"""What one introspection server may cost the others: nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
import trio
import trio.testing

from peepsd.feed import participants
from peepsd.feed.participants import House, run_participants


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
