"""Fixtures that every kind of test may use."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio_asyncio._loop

# trio-asyncio gives the whole process its own kind of event loop. The daemon is alone in its
# process, but here the agent's tests run asyncio as their hosts do: give it back to them.
asyncio.new_event_loop = asyncio.events.new_event_loop = trio_asyncio._loop._orig_loop_new

# A run in the background of a shell ignores interrupts, and so would every program it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

from .support.daemon import Daemon  # noqa: E402


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """A real peepsd with a database of its own."""
    with Daemon(tmp_path) as running:
        yield running
