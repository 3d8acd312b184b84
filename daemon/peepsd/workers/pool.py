"""Killable child processes for work that could hold the interpreter lock, or never end.

Decides who gets a child and who waits, when a child is replaced, and when starting is given up
for a while. Refuses to know what the children answer. A thread would be cheaper, but a thread
cannot be killed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

import trio

from ..errors import PeepsError, TooManyRequests
from .process import Limits, Payload, Spec, WorkerDied, WorkerFailed, WorkerProcess

__all__ = [
    "Limits",
    "WorkerBusy",
    "WorkerDied",
    "WorkerFailed",
    "WorkerPool",
    "WorkerTimeout",
    "WorkerUnavailable",
]

START_DEADLINE_S: Final = 30.0
"""A child that is not up by then never will be, even on a machine in trouble."""

BACKOFF_S: Final = (0.1, 10.0)
"""Pause after the first failed start in a row, and the longest one."""

RETIRE_BYTES: Final = 16 * 1024 * 1024
"""A child that moved so much in one call is replaced, for it would keep the memory."""


class WorkerBusy(TooManyRequests):
    """All children are at work and enough callers wait for them."""


class WorkerTimeout(PeepsError):
    """The deadline passed; the child was killed."""

    status: ClassVar[int] = 503


class WorkerUnavailable(PeepsError):
    """Children cannot be started at present, or the pool is shutting down."""

    status: ClassVar[int] = 503


@dataclass(slots=True)
class Statistics:
    """Counts since the start; `idle`, `busy` and `waiting` are of this moment."""

    idle: int = 0
    busy: int = 0
    waiting: int = 0
    calls: int = 0
    refused: int = 0
    timeouts: int = 0
    deaths: int = 0
    starts: int = 0
    failed_starts: int = 0


class WorkerPool:
    """At most `size` calls at once, each in a child of its own; `queue_limit` callers wait.

    `target` is "package.module:function", a function `bytes -> bytes` importable by
    `python -I`. `spare` idle children are kept warm at all times; others are started when
    needed and kept. There are never more than `size` + `spare`.
    """

    def __init__(
        self,
        target: str,
        *,
        size: int,
        queue_limit: int,
        spare: int = 0,
        limits: Limits | None = None,
        env: Mapping[str, str] | None = None,
        site_packages: bool = True,
        import_from: tuple[str, ...] = (),
    ) -> None:
        self._spec = Spec(target, limits or Limits(), env, site_packages, import_from)
        self._size, self._spare, self._queue_limit = size, spare, queue_limit
        self._slots = trio.CapacityLimiter(size)
        self._idle: list[WorkerProcess] = []
        self._nursery: trio.Nursery | None = None
        self._changed = trio.Event()
        self._counts = Statistics()
        self._failures_in_a_row = 0
        self._start_again_at = 0.0
        self._last_failure = ""

    def statistics(self) -> Statistics:
        """A copy of the counts, for /metrics and tests."""
        c, slots = self._counts, self._slots.statistics()
        return Statistics(
            len(self._idle), slots.borrowed_tokens, slots.tasks_waiting,
            c.calls, c.refused, c.timeouts, c.deaths, c.starts, c.failed_starts,
        )  # fmt: skip

    async def run(self, task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED) -> None:
        """Keep the children, until cancelled; then kill and reap them all."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            try:
                task_status.started()
                await self._keep_spares()
            finally:
                self._nursery = None
                self._idle.clear()

    async def call(self, request: Payload, *, deadline_s: float) -> bytes:
        """Answer `request` in a child.

        The deadline counts from when a ready child takes the request, not while waiting in line.
        Raises WorkerBusy, WorkerTimeout, WorkerDied, WorkerFailed, WorkerUnavailable.
        Cancelling kills the child that is at it.
        """
        slots = self._slots.statistics()
        if slots.borrowed_tokens >= self._size and slots.tasks_waiting >= self._queue_limit:
            self._counts.refused += 1
            raise WorkerBusy(
                f"{self._size} requests are being worked on and {slots.tasks_waiting} wait; "
                "try again in a moment"
            )
        async with self._slots:
            self._counts.calls += 1
            worker = await self._take()
            return await self._ask(worker, request, deadline_s)

    async def _ask(self, worker: WorkerProcess, request: Payload, deadline_s: float) -> bytes:
        is_usable = False
        try:
            with trio.move_on_after(deadline_s):
                reply = await worker.exchange(request)
                is_usable = len(request) + len(reply) < RETIRE_BYTES
                return reply
            self._counts.timeouts += 1
            raise WorkerTimeout(f"no answer after {deadline_s:g} s; the worker was killed")
        except WorkerFailed:
            is_usable = True
            raise
        except WorkerDied:
            self._counts.deaths += 1
            raise
        finally:
            if is_usable and self._nursery is not None:
                self._idle.append(worker)
            else:
                worker.kill()
            self._wake_keeper()

    async def _take(self) -> WorkerProcess:
        while self._idle:
            worker = self._idle.pop()
            if worker.is_alive():
                self._wake_keeper()
                return worker
        return await self._start()

    async def _start(self) -> WorkerProcess:
        nursery = self._nursery
        if nursery is None:
            raise WorkerUnavailable("the workers are not running: the daemon is shutting down")
        if trio.current_time() < self._start_again_at:
            raise self._unavailable()
        try:
            worker: WorkerProcess = await nursery.start(self._attend)
        except (OSError, WorkerDied, WorkerFailed) as error:
            raise self._note_failed_start(error) from error
        self._failures_in_a_row = 0
        self._counts.starts += 1
        return worker

    async def _attend(self, *, task_status: "trio.TaskStatus[WorkerProcess]") -> None:
        try:
            await WorkerProcess.run(
                self._spec, start_deadline_s=START_DEADLINE_S, task_status=task_status
            )
        finally:
            self._idle = [worker for worker in self._idle if worker.is_alive()]
            self._wake_keeper()

    def _note_failed_start(self, error: Exception) -> WorkerUnavailable:
        first, longest = BACKOFF_S
        pause = min(first * 2.0**self._failures_in_a_row, longest)
        self._start_again_at = trio.current_time() + pause
        self._failures_in_a_row = min(self._failures_in_a_row + 1, 32)
        self._counts.failed_starts += 1
        self._last_failure = str(error)
        return self._unavailable()

    def _unavailable(self) -> WorkerUnavailable:
        return WorkerUnavailable(
            f"a worker process ({self._spec.target}) cannot be started: {self._last_failure}",
            hint="look at the daemon's log, its memory and its process limit; it tries again",
        )

    async def _keep_spares(self) -> None:
        """Start children until `spare` of them are idle, again whenever something changed."""
        while True:
            self._changed = trio.Event()
            if len(self._idle) < self._spare:
                try:
                    self._idle.append(await self._start())
                except WorkerUnavailable:
                    await trio.sleep_until(self._start_again_at)
                continue
            await self._changed.wait()

    def _wake_keeper(self) -> None:
        self._changed.set()
