"""One snapshot's outcomes: who ended how, and when the waiting is over.

Decides statuses and deadlines. Refuses to know clocks, tasks, sockets and rows: every method is
synchronous and takes the time (nanoseconds of any one monotonic clock). Protocol: seed 002
steps 3 to 5; chronic non-responders: docs/protocol.md.

A seat is one connection's place in the snapshot, its identity frozen at the broadcast. It ends
exactly once, in one of four statuses; what comes after that is told to be late or duplicate.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, StrEnum

from . import identity

CHRONIC_WAIT_NS = 250_000_000
"""How long a chronic non-responder is waited for after everybody else has ended."""


class Status(StrEnum):
    """How a process ended in a snapshot."""

    RESPONDED = "responded"
    TIMEOUT = "timeout"
    DISCONNECTED = "disconnected"
    ERROR = "error"


class Verdict(Enum):
    """What a reply was, to the snapshot that it names."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate_reply"
    LATE = "late_reply"
    STRANGER = "snapshot_id_mismatch"


@dataclass(slots=True)
class Seat:
    """One connection's place in one snapshot."""

    connection_id: int
    proc_key: str
    process: str
    pid: int | None
    host: str | None = None
    agent: str | None = None
    is_identified: bool = False
    is_chronic: bool = False
    status: Status | None = None
    error_text: str | None = None
    ended_at_ns: int | None = None
    last_failure: str | None = None
    """What it sent last that could not be read; says more than "timeout" if nothing follows."""
    arriving: int = 0
    """Frames that are here but not decoded yet: any of them may be the reply."""


@dataclass(slots=True)
class Gather:
    """The seats of one snapshot and the rules by which they end."""

    snapshot_id: int
    started_ns: int
    timeout_ns: int
    grace_ns: int
    seats: dict[int, Seat] = field(default_factory=dict)
    """By connection id."""
    _open: int = 0
    _open_regular: int = 0
    _last_regular_end_ns: int = 0
    _keys: set[str] = field(default_factory=set)

    def admit(self, seats: Iterable[Seat]) -> None:
        """Freeze who is asked; before any of the other methods."""
        for seat in seats:
            self.seats[seat.connection_id] = seat
        self._open = len(self.seats)
        self._open_regular = sum(not s.is_chronic for s in self.seats.values())
        self._last_regular_end_ns = self.started_ns
        self._keys = {s.proc_key for s in self.seats.values()}

    # what happens to a seat

    def replied(
        self, connection_id: int, process: str, pid: int, now_ns: int, *, arrived_ns: int
    ) -> Verdict:
        """A readable reply came, whole at `arrived_ns`; if ACCEPTED, the seat has responded."""
        seat = self.seats.get(connection_id)
        if seat is None:
            return Verdict.STRANGER
        if seat.status is Status.RESPONDED:
            return Verdict.DUPLICATE
        if seat.status is not None or arrived_ns > self.deadline_ns:
            return Verdict.LATE
        if not seat.is_identified:
            self._identify(seat, process, pid)
        self._end(seat, Status.RESPONDED, now_ns)
        return Verdict.ACCEPTED

    def failed(self, connection_id: int, text: str, now_ns: int) -> bool:
        """The seat cannot take part any more. False: it had ended before."""
        return self._end_open(connection_id, Status.ERROR, now_ns, text)

    def disconnected(self, connection_id: int, text: str, now_ns: int) -> bool:
        """The connection is gone: nobody waits for the dead. False: the seat had ended."""
        return self._end_open(connection_id, Status.DISCONNECTED, now_ns, text)

    def sent_garbage(self, connection_id: int, text: str) -> None:
        """Something unreadable came. The reply may still follow, so the seat stays open."""
        seat = self.seats.get(connection_id)
        if seat is not None:
            seat.last_failure = text

    def arriving(self, connection_id: int, change: int) -> None:
        """A whole frame of this connection began (+1) or ended (-1) being decoded."""
        seat = self.seats.get(connection_id)
        if seat is not None:
            seat.arriving += change

    def spoil(self, connection_id: int, text: str) -> None:
        """A reply was accepted but could not be stored: the seat ends in error after all."""
        seat = self.seats[connection_id]
        seat.status, seat.error_text = Status.ERROR, text

    # when it is over

    @property
    def deadline_ns(self) -> int:
        """When waiting ends at the latest."""
        return self.started_ns + self.timeout_ns + self.grace_ns

    @property
    def is_over(self) -> bool:
        """Whether every seat has ended."""
        return self._open == 0

    def wake_at_ns(self) -> int:
        """When to call expire() if nothing happens before."""
        if self._open_regular == 0:
            return min(self.deadline_ns, self._last_regular_end_ns + CHRONIC_WAIT_NS)
        return self.deadline_ns

    def expire(self, now_ns: int) -> list[Seat]:
        """End the seats whose time is up; returns them. A reply that is being decoded has
        arrived in time: its seat stays open until that is done."""
        if now_ns < self.wake_at_ns():
            return []
        everybody = now_ns >= self.deadline_ns
        ended = []
        for seat in self.seats.values():
            if seat.status is None and not seat.arriving and (everybody or seat.is_chronic):
                status = Status.ERROR if seat.last_failure else Status.TIMEOUT
                seat.error_text = seat.last_failure
                self._end(seat, status, now_ns)
                ended.append(seat)
        return ended

    # inside

    def _identify(self, seat: Seat, process: str, pid: int) -> None:
        seat.process, seat.pid = identity.safe_name(process), pid
        base = identity.base_key(seat.process, pid, seat.connection_id)
        self._keys.discard(seat.proc_key)
        seat.proc_key = identity.unique_key(base, self._keys)
        self._keys.add(seat.proc_key)
        seat.is_identified = True

    def _end_open(self, connection_id: int, status: Status, now_ns: int, text: str) -> bool:
        seat = self.seats.get(connection_id)
        if seat is None or seat.status is not None:
            return False
        seat.error_text = text
        self._end(seat, status, now_ns)
        return True

    def _end(self, seat: Seat, status: Status, now_ns: int) -> None:
        seat.status, seat.ended_at_ns = status, now_ns
        self._open -= 1
        if not seat.is_chronic:
            self._open_regular -= 1
            self._last_regular_end_ns = now_ns


def skew_ms(captured_at_ns: Iterable[int | None]) -> float | None:
    """Latest minus earliest capture among the processes that told, in milliseconds."""
    told = [t for t in captured_at_ns if t is not None]
    return (max(told) - min(told)) / 1e6 if told else None
