"""Snapshots that nobody asks for over HTTP: every so often, and on a signal.

Decides when; one at a time. Refuses to know how a snapshot is taken. Whatever goes wrong is
logged and does not end the rhythm.
"""

import signal
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
import trio

from .errors import NobodyConnected, PeepsError

log = structlog.get_logger("peepsd.triggers")

Take = Callable[[], Awaitable[Any]]
"""Takes a snapshot. Raises PeepsError."""


async def every(seconds: float, take: Take) -> None:
    """Take a snapshot each `seconds`, until cancelled. One that takes longer skips beats."""
    next_at = trio.current_time() + seconds
    while True:
        await trio.sleep_until(next_at)
        await _take(take, "the interval")
        missed = max(0, int((trio.current_time() - next_at) // seconds))
        next_at += seconds * (missed + 1)


async def on_signal(
    take: Take, task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED
) -> None:
    """Take a snapshot on each SIGUSR1, until cancelled. Runs in the main thread only."""
    with trio.open_signal_receiver(signal.SIGUSR1) as signals:
        task_status.started()
        async for _ in signals:
            await _take(take, "SIGUSR1")


async def _take(take: Take, why: str) -> None:
    try:
        await take()
    except NobodyConnected:
        log.debug("no snapshot: nobody is connected", trigger=why)
    except PeepsError as exc:
        log.warning("no snapshot", trigger=why, error=exc.message)
