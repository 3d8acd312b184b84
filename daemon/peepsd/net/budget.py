"""How many bytes of unfinished work the daemon holds at once: back-pressure, not failure.

Decides who may read on when a hundred processes answer 50 MB each. Bytes are taken as they
arrive, never on announcement, so nobody can reserve what he does not send. When the budget is
used up everybody waits but the eldest, who may always go on: so there is no deadlock between
half-received frames, and memory stays under the budget plus one frame. Refuses to know sockets.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

FREE_BYTES = 64 * 1024
"""A frame's first bytes are not counted, unless told otherwise: small messages never wait."""


class Hold:
    """What one frame holds of the budget, until it is dealt with."""

    def __init__(self) -> None:
        self.bytes = 0
        self.counted = 0


class ReceiveBudget:
    """Shared by all connections."""

    def __init__(self, limit_bytes: int, free_bytes: int = FREE_BYTES) -> None:
        self._limit = limit_bytes
        self._free = free_bytes
        self._used = 0
        self._holds: dict[Hold, None] = {}  # in order of age
        self._waiting: dict[Hold, tuple[int, trio.Event]] = {}  # in order of arrival

    @asynccontextmanager
    async def frame(self) -> AsyncIterator[Hold]:
        """A hold that is given back at the end of the block, however it ends."""
        hold = Hold()
        try:
            yield hold
        finally:
            self.give_back(hold)

    async def take(self, hold: Hold, received: int) -> None:
        """Count `received` more bytes to `hold`; waits while the budget is used up."""
        hold.bytes += received
        more = max(0, hold.bytes - self._free) - hold.counted
        if more <= 0:
            return
        self._holds.setdefault(hold)
        if self._may_take(hold, more):
            self._count(hold, more)
            return
        told = trio.Event()
        self._waiting[hold] = more, told
        try:
            await told.wait()
        finally:
            self._waiting.pop(hold, None)

    def give_back(self, hold: Hold) -> None:
        """The frame is dealt with; somebody else may read on."""
        self._used -= hold.counted
        hold.bytes = hold.counted = 0
        if hold in self._holds:
            del self._holds[hold]
            self._admit()

    def _may_take(self, hold: Hold, more: int) -> bool:
        return self._used + more <= self._limit or next(iter(self._holds)) is hold

    def _count(self, hold: Hold, more: int) -> None:
        hold.counted += more
        self._used += more

    def _admit(self) -> None:
        """Let those go on for whom there is room: the eldest, then in order of arrival. The
        others are not even woken: there may be thousands."""
        while self._waiting:
            eldest = next(iter(self._holds))
            hold = eldest if eldest in self._waiting else next(iter(self._waiting))
            more, told = self._waiting[hold]
            if not self._may_take(hold, more):
                return
            del self._waiting[hold]
            self._count(hold, more)
            told.set()

    def statistics(self) -> dict[str, int]:
        """Bytes used and limit, frames holding some, readers waiting."""
        return {
            "used_bytes": self._used,
            "limit_bytes": self._limit,
            "frames": len(self._holds),
            "waiting": len(self._waiting),
        }
