"""Keeps the database small and its event log written, in the background.

Decides when: events every second if there are any, retention after each snapshot and every
hour. What expires is core.retention's decision. Problems in doing so are logged, never fatal.
"""

import time
from collections.abc import Callable

import structlog
import trio

from ..core import retention
from ..core.events import EventLedger
from ..core.happenings import IngestProblem
from ..errors import PeepsError
from .reads import Reader
from .writes import Writer

FLUSH_S = 1.0
RETENTION_S = 3600.0

log = structlog.get_logger("peepsd.store")


class Janitor:
    """Writes events, deletes what has expired."""

    def __init__(
        self,
        writer: Writer,
        reader: Reader,
        *,
        retain_snapshots: int,
        retain_event_days: float,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._retain_snapshots = retain_snapshots
        self._retain_event_days = retain_event_days
        self._wall_ns = wall_ns
        self._ledger = EventLedger()
        self._sweep_wanted = trio.Event()
        self._is_refused = False

    @property
    def events_total(self) -> int:
        """Problems recorded since the start, counted singly."""
        return self._ledger.total

    def record(self, problem: IngestProblem, count: int = 1) -> None:
        """Take in a problem; it is in the database within about a second."""
        self._ledger.record(problem, count)

    def snapshot_completed(self) -> None:
        """There is one snapshot more, perhaps one too many."""
        self._sweep_wanted.set()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled; then write what is left."""
        self._ledger = EventLedger(await self._reader.last_event_id() + 1)
        task_status.started()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._sweep_for_ever)
                while True:
                    await trio.sleep(FLUSH_S)
                    await self.flush()
        finally:
            with trio.CancelScope(shield=True):
                await self.flush()

    async def flush(self) -> None:
        """Write the events that wait to be written."""
        if not self._ledger.has_work:
            return
        new, recounts = self._ledger.drain(self._wall_ns())
        try:
            await self._writer.write_events(new, recounts)
        except PeepsError as exc:
            lost = self._ledger.put_back(new, recounts)
            if lost or not self._is_refused:
                log.error("events could not be written yet", error=exc.message, lost=lost)
            self._is_refused = True
        else:
            if self._is_refused:
                log.info("events are written again", events=len(new))
            self._is_refused = False

    async def sweep(self) -> None:
        """Delete what has expired, give the space back, and keep the write-ahead log short."""
        expired = await self._reader.expired(self._retain_snapshots)
        for snapshot_id in expired:
            await self._writer.delete_snapshot(snapshot_id)
        before_ns = retention.events_before_ns(self._wall_ns(), self._retain_event_days)
        await self._writer.delete_events(before_ns, retention.MAX_EVENTS)
        if expired:
            await self._writer.shrink()
        else:
            await self._reader.checkpoint()

    async def _sweep_for_ever(self) -> None:
        while True:
            try:
                await self.sweep()
            except PeepsError as exc:
                log.error("old snapshots could not be deleted", error=exc.message)
            with trio.move_on_after(RETENTION_S):
                await self._sweep_wanted.wait()
            self._sweep_wanted = trio.Event()
