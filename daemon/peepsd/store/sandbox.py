"""A stranger's SQL, run where it can do no harm: the daemon's side.

Decides how many run at once, for how long, and which error a client sees. Refuses to know what
SQL means (sandbox_rules.py, sandbox_worker.py).
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import orjson
import trio

from ..errors import BadRequest, NotFound, PeepsError, StoreError
from ..workers.pool import Limits, Statistics, WorkerDied, WorkerFailed, WorkerPool, WorkerTimeout
from . import sandbox_rules as rules
from .sandbox_views import Catalogue

_TARGET: Final = "peepsd.store.sandbox_worker:handle"

_LIMITS: Final = Limits(
    memory_bytes=512 * 1024 * 1024, file_bytes=0, open_files=32, processes=0, nice=5
)

_ERRORS: Final[dict[str, type[PeepsError]]] = {
    "bad_request": BadRequest,
    "not_found": NotFound,
    "store": StoreError,
}


class SqlSandbox:
    """Runs one SELECT over one snapshot, in a process that is killed if it takes too long.

    database: the file, which the daemon must hold open (reading a WAL needs its index).
    schema_sql: the shipped DDL, from which the offered tables and views are taken.
    """

    def __init__(
        self,
        database: Path,
        schema_sql: str,
        *,
        size: int = 2,
        queue_limit: int = 8,
        deadline_s: float = rules.HARD_DEADLINE_S,
    ) -> None:
        self._fixed = {
            "database": str(database.absolute()),
            "catalogue": asdict(Catalogue.of_schema(schema_sql)),
        }
        self._deadline_s = deadline_s
        self._pool = WorkerPool(
            _TARGET,
            size=size,
            queue_limit=queue_limit,
            spare=1,
            limits=_LIMITS,
            site_packages=False,
        )

    async def run(self, task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED) -> None:
        """Keep the workers, until cancelled."""
        await self._pool.run(task_status)

    def statistics(self) -> Statistics:
        """Counts of the workers, for /metrics."""
        return self._pool.statistics()

    async def query(
        self, sql: str, params: Sequence[object] = (), snapshot_id: int | None = None
    ) -> bytes:
        """JSON: {"snapshot_id", "columns", "rows", "row_count", "truncated"}.

        snapshot_id: default is the latest whole snapshot. A cell is null, a number, a string,
        {"$blob": base64} or {"$real": "inf" | "-inf"}. truncated: null, "rows", "bytes" or "time".

        Raises BadRequest (the statement is wrong, not allowed, or too heavy), NotFound (no such
        snapshot), TooManyRequests, StoreError (the database cannot be read), WorkerUnavailable.
        """
        if (reason := rules.refuse_sql(sql) or rules.refuse_params(params)) is not None:
            raise BadRequest(reason)
        if snapshot_id is not None and not _is_id(snapshot_id):
            raise BadRequest("snapshot_id must be an integer, as GET /api/snapshots shows it")
        try:
            request = orjson.dumps(
                {**self._fixed, "sql": sql, "params": params, "snapshot_id": snapshot_id}
            )
        except TypeError as error:
            raise BadRequest("params contain half of a surrogate pair") from error
        return _unwrap(await self._ask(request))

    async def _ask(self, request: bytes) -> bytes:
        try:
            return await self._pool.call(request, deadline_s=self._deadline_s)
        except WorkerTimeout:
            raise BadRequest(
                f"the statement was stopped after {self._deadline_s:g} s: it could not even be "
                "prepared, or one function call took that long",
                hint="join fewer tables, nest less, work on shorter strings",
            ) from None
        except (WorkerDied, WorkerFailed) as error:
            raise BadRequest(
                "the statement ended the process that ran it",
                hint=f"select less, or say it more simply ({error})",
            ) from error


def _is_id(value: object) -> bool:
    return type(value) is int and 0 <= value < 1 << 63


def _unwrap(answer: bytes) -> bytes:
    if answer[:1] == b"+":
        return answer[1:]
    error = orjson.loads(answer[1:])
    raise _ERRORS[error["kind"]](error["message"], hint=error["hint"])
