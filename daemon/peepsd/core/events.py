"""Which problems become rows of ingest_events, and which are counted into one.

Decides: the first of a sort is a row at once; alike ones that follow within a window are added
to its count. So a peer that floods the daemon with bad frames costs one row a window, not one
each. Refuses to know SQL and clocks (callers pass Unix nanoseconds).
"""

from dataclasses import dataclass, replace

from .happenings import IngestProblem

WINDOW_NS = 60_000_000_000
"""How long alike problems go into the same row."""
MAX_OPEN_ROWS = 512
"""Sorts told apart at a time; beyond that, those of a kind share one row whoever sent them."""

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
        new, self._new = self._new, []
        recounts = []
        for sort, row in list(self._open.items()):
            if row.is_dirty:
                recounts.append(Recount(row.event_id, row.count, row.last_at_ns))
                row.is_dirty = False
            if now_ns - row.opened_at_ns >= WINDOW_NS:
                del self._open[sort]
        return new, recounts

    @property
    def has_work(self) -> bool:
        """Whether drain() would return anything to write."""
        return bool(self._new) or any(row.is_dirty for row in self._open.values())
