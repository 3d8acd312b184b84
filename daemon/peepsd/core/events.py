"""Which problems become rows of ingest_events, and which are counted into one.

Decides: the first of a sort is a row at once; alike ones that follow within a window are added
to its count. So a peer that floods the daemon with bad frames costs one row a window, not one
each. What could not be written is kept, within bounds, until it can. Refuses to know SQL and
clocks (callers pass Unix nanoseconds).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .happenings import IngestProblem

WINDOW_NS = 60_000_000_000
"""How long alike problems go into the same row."""
MAX_OPEN_ROWS = 512
"""Sorts told apart at a time; beyond that, those of a kind share one row whoever sent them."""

MAX_WAITING_ROWS = 10_000
"""Rows kept while the database refuses them; beyond that the newest are lost."""

Sort = tuple[str, str | None, int | None]
"""event_kind, proc_key, snapshot_id"""


@dataclass(slots=True)
class OpenRow:
    """A row that still counts."""

    event_id: int
    opened_at_ns: int
    count: int = 1
    last_at_ns: int = 0
    is_dirty: bool = False


@dataclass(frozen=True, slots=True)
class NewRow:
    """Insert this."""

    event_id: int
    problem: IngestProblem


@dataclass(frozen=True, slots=True)
class Recount:
    """Update that row's count."""

    event_id: int
    count: int
    last_at_ns: int


class EventLedger:
    """Turns problems into rows to insert and counts to update."""

    def __init__(self, first_event_id: int = 1) -> None:
        self._next_id = first_event_id
        self._open: dict[Sort, OpenRow] = {}
        self._new: list[NewRow] = []
        self._recounts: dict[int, Recount] = {}
        self.total = 0

    def record(self, problem: IngestProblem, count: int = 1) -> None:
        """Take in `count` problems alike."""
        self.total += count
        sort: Sort = (problem.event_kind, problem.proc_key, problem.snapshot_id)
        row = self._current(sort, problem.at_ns)
        if row is None and len(self._open) >= MAX_OPEN_ROWS:
            sort = (problem.event_kind, None, None)
            problem = replace(problem, proc_key=None, process=None, pid=None, snapshot_id=None)
            row = self._current(sort, problem.at_ns)
        if row is None:
            self._close(sort)
            row = self._open[sort] = OpenRow(self._next_id, problem.at_ns, count)
            self._next_id += 1
            row.last_at_ns, row.is_dirty = problem.at_ns, count > 1
            self._new.append(NewRow(row.event_id, problem))
        else:
            row.count += count
            row.last_at_ns, row.is_dirty = problem.at_ns, True

    def _current(self, sort: Sort, now_ns: int) -> OpenRow | None:
        row = self._open.get(sort)
        return row if row is not None and now_ns - row.opened_at_ns < WINDOW_NS else None

    def drain(self, now_ns: int) -> tuple[list[NewRow], list[Recount]]:
        """What has to be written since the last call; forgets rows whose window is over."""
        for sort, row in list(self._open.items()):
            self._note_count(row)
            if now_ns - row.opened_at_ns >= WINDOW_NS:
                del self._open[sort]
        new, self._new = self._new, []
        recounts, self._recounts = self._recounts, {}
        return new, list(recounts.values())

    def put_back(self, new: Sequence[NewRow], recounts: Sequence[Recount]) -> int:
        """What drain() returned could not be written: return it with the next drain(). Returns
        how many rows are lost, because too many wait."""
        waiting = [*new, *self._new]
        self._new = waiting[:MAX_WAITING_ROWS]
        lost = {row.event_id for row in waiting[MAX_WAITING_ROWS:]}
        kept = {r.event_id: r for r in recounts} | self._recounts
        self._recounts = {n: r for n, r in kept.items() if n not in lost}
        return len(lost)

    @property
    def has_work(self) -> bool:
        """Whether drain() would return anything to write."""
        is_waiting = bool(self._new or self._recounts)
        return is_waiting or any(row.is_dirty for row in self._open.values())

    def _close(self, sort: Sort) -> None:
        if (row := self._open.pop(sort, None)) is not None:
            self._note_count(row)

    def _note_count(self, row: OpenRow) -> None:
        if row.is_dirty:
            self._recounts[row.event_id] = Recount(row.event_id, row.count, row.last_at_ns)
            row.is_dirty = False
