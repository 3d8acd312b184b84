"""How often the same thing is worth a line in the log.

Decides: the first time at once, then no more than once a while, with how many there were. What
can be told apart is bounded; beyond that, strangers share one entry. Refuses to know what is
logged and clocks (callers pass Unix nanoseconds).
"""

from dataclasses import dataclass, field

EVERY_NS = 3600 * 1_000_000_000
MAX_SORTS = 512

Sort = tuple[str, str]
"""What happened, and to whom or by whom."""


@dataclass(slots=True)
class _Told:
    at_ns: int
    untold: int = 0


@dataclass(slots=True)
class Ration:
    """Remembers what was told when."""

    _told: dict[Sort, _Told] = field(default_factory=dict)

    def times(self, kind: str, who: str, now_ns: int) -> int:
        """How many times, this one included, are to be told now; 0: say nothing."""
        sort = (kind, who)
        if sort not in self._told and len(self._told) >= MAX_SORTS:
            self._forget(now_ns)
            if len(self._told) >= MAX_SORTS:
                sort = (kind, "")
        told = self._told.get(sort)
        if told is None:
            self._told[sort] = _Told(now_ns)
            return 1
        told.untold += 1
        if now_ns - told.at_ns < EVERY_NS:
            return 0
        times, told.untold, told.at_ns = told.untold, 0, now_ns
        return times

    def _forget(self, now_ns: int) -> None:
        self._told = {s: t for s, t in self._told.items() if now_ns - t.at_ns < EVERY_NS}
