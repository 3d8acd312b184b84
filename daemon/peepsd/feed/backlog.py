"""What one observer has been pushed and has not been sent yet. Pure.

Decides what is discarded: the oldest first, when there are too many bytes or when a message is
older than the retention period (R16). Whatever is discarded is counted, so that it can be
announced. Refuses to know who is paused and why.
"""

from collections import Counter, deque
from collections.abc import Iterable

from .modes import PUSHABLE, Source
from .outgoing import Outgoing


class Backlog:
    """One queue for each source; order across them is that of publication."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        self.discarded_total = 0
        self._queues: dict[Source, deque[Outgoing]] = {source: deque() for source in PUSHABLE}
        self._discarded: Counter[Source] = Counter()

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def append(self, source: Source, outgoing: Outgoing) -> None:
        """Take one in. The newest stays, however large: an empty queue helps nobody."""
        self._queues[source].append(outgoing)
        self.bytes += outgoing.size
        while self.bytes > self.max_bytes and len(self) > 1:
            self._discard_oldest()

    def pop(self, sources: Iterable[Source]) -> Outgoing | None:
        """The oldest of these sources, taken out."""
        source = self._oldest_of(sources)
        return None if source is None else self._popleft(source)

    def holds(self, sources: Iterable[Source]) -> bool:
        """Whether there is anything of these sources."""
        return any(self._queues[source] for source in sources)

    def expire(self, older_than: float) -> None:
        """Discard what was published before `older_than` (s, the clock of Outgoing.at)."""
        for source, queue in self._queues.items():
            while queue and queue[0].at < older_than:
                self._popleft(source)
                self._count(source)

    def clear(self, source: Source) -> None:
        """Drop everything of one source at its observer's own wish: not a loss."""
        while self._queues[source]:
            self._popleft(source)

    @property
    def has_discarded(self) -> bool:
        """Whether something was lost since take_discarded."""
        return bool(self._discarded)

    def take_discarded(self) -> Counter[Source]:
        """How much was lost since this was last asked, by source."""
        taken, self._discarded = self._discarded, Counter()
        return taken

    def _discard_oldest(self) -> None:
        source = self._oldest_of(PUSHABLE)
        if source is not None:
            self._popleft(source)
            self._count(source)

    def _count(self, source: Source) -> None:
        self._discarded[source] += 1
        self.discarded_total += 1

    def _oldest_of(self, sources: Iterable[Source]) -> Source | None:
        waiting = [source for source in sources if self._queues[source]]
        return min(waiting, key=lambda s: self._queues[s][0].sequence, default=None)

    def _popleft(self, source: Source) -> Outgoing:
        outgoing = self._queues[source].popleft()
        self.bytes -= outgoing.size
        return outgoing
