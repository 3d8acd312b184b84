"""Answers about snapshots, computed where they stall nobody.

Decides how many are worked on at once and for how long. Refuses to know what is asked: a worker
process reads the database and answers (store/questions.py).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson
import structlog
import trio

from ..errors import (
    Ambiguous,
    BadRequest,
    NotFound,
    PeepsError,
    StoreError,
    TooLarge,
    TooManyRequests,
)
from ..workers.pool import Limits, Statistics, WorkerDied, WorkerFailed, WorkerPool, WorkerTimeout

log = structlog.get_logger("peepsd.analyst")

_TARGET: Final = "peepsd.store.questions:handle"

DEADLINE_S: Final = 60.0
"""A million edges take a few seconds; a machine in trouble several times that."""

_LIMITS: Final = Limits(memory_bytes=4 << 30, file_bytes=1 << 30, processes=0, nice=5)
"""Files: what SQLite sorts and cannot keep in memory."""

_ERRORS: Final[dict[int, type[PeepsError]]] = {
    400: BadRequest,
    404: NotFound,
    409: Ambiguous,
    413: TooLarge,
    503: StoreError,
}


class Analyst:
    """Answers questions about the snapshots of one database, `size` at once, at least two."""

    def __init__(self, database: Path, *, size: int = 2, queue_limit: int = 16) -> None:
        self._database = str(database.absolute())
        self._queries = trio.CapacityLimiter(max(1, size - 1))
        self._queue_limit = queue_limit
        self._pool = WorkerPool(
            _TARGET, size=size, queue_limit=queue_limit, spare=0, limits=_LIMITS
        )

    async def run(self, task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED) -> None:
        """Keep the workers, until cancelled."""
        await self._pool.run(task_status)

    def statistics(self) -> Statistics:
        """Counts of the workers."""
        return self._pool.statistics()

    async def ask(self, question: str, args: Mapping[str, Any]) -> bytes:
        """The answer as JSON. Raises PeepsError (BadRequest, NotFound, StoreError, WorkerBusy).

        One worker is never lent to named queries: why and check get their turn beside them.
        """
        if question != "query":
            return await self._answer(question, args)
        waiting = self._queries.statistics().tasks_waiting
        if waiting >= self._queue_limit:
            raise TooManyRequests(f"{waiting} named queries wait; try again in a moment")
        async with self._queries:
            return await self._answer(question, args)

    async def _answer(self, question: str, args: Mapping[str, Any]) -> bytes:
        order = {"database": self._database, "question": question, "args": dict(args)}
        try:
            answer = await self._pool.call(orjson.dumps(order), deadline_s=DEADLINE_S)
        except WorkerTimeout:
            raise StoreError(
                f"the answer took longer than {DEADLINE_S:.0f} s and was given up",
                hint="ask about one process, or with SQL about a part of the snapshot",
            ) from None
        except WorkerDied as exc:
            raise StoreError(
                "the process that was to answer died; the snapshot may be too large to analyse",
                hint="ask with SQL about a part of the snapshot",
            ) from exc
        except WorkerFailed as exc:
            log.error("a question could not be answered", question=question, error=exc.message)
            raise PeepsError("an error of peepsd's own; its log tells more") from exc
        if answer[:1] == b"+":
            return answer[1:]
        error = orjson.loads(answer[1:])
        raise _ERRORS.get(error["status"], PeepsError)(error["message"], hint=error["hint"])
