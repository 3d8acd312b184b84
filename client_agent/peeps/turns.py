"""How long threads keep the interpreter lock around an answer: shorter turns, so that the
agent is let in and lets others in, and longer ones for a look that did not hold.

Decides nothing but that the host gets its own interval back.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from . import unpatched

SHORT_TURN_S = 0.0001
"""How soon threads hand over the interpreter lock while a request is answered."""
STEADY_TURN_S = 0.005
"""Python's own interval."""

_befores: list[float] = []
"""What was found by those who are inside now, the host's own first."""


class _Turns:
    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._is_set = False

    def _is_wanted(self, before: float) -> bool:
        raise NotImplementedError

    def __enter__(self) -> Self:
        before = sys.getswitchinterval()
        self._is_set = self._is_wanted(before)
        if self._is_set:
            _befores.append(before)
            _set(self._seconds)
        return self

    def __exit__(self, *_: object) -> None:
        is_set, self._is_set = self._is_set, False
        if not is_set or not _befores:
            return
        before = _befores.pop()
        if abs(sys.getswitchinterval() - self._seconds) < 1e-5:
            _set(before)  # else the host has set another meanwhile


class ShortTurns(_Turns):
    """Makes threads hand over the interpreter lock sooner while a request is answered.

    Who wants the lock asks for it when it was not given up for an interval. A loop that never
    rests gives it up for a moment at each step, so whoever waits is told, comes too late, and
    starts to wait anew: with steps shorter than the interval it never gets to ask. Not for looks:
    one that is interrupted does not hold, and keeps alive what it looks at.
    """

    def __init__(self) -> None:
        super().__init__(SHORT_TURN_S)

    def _is_wanted(self, before: float) -> bool:
        return before > self._seconds

    @contextmanager
    def given_back(self) -> Iterator[None]:
        """The host's own turns for a while."""
        self.__exit__()
        try:
            yield
        finally:
            self.__enter__()


class LongTurns(_Turns):
    """Holds the interpreter lock a little longer, for a retry of a look that did not hold."""

    def __enter__(self) -> Self:
        if sys.getswitchinterval() < 2 * SHORT_TURN_S:
            # Who waits already does so by the short interval, and would interrupt soon: let them
            # in now. Who had to hand the lock back is awake again only after the next line.
            unpatched.sleep(0)
        return super().__enter__()

    def _is_wanted(self, before: float) -> bool:
        return before < self._seconds


class SteadyTurns(LongTurns):
    """For moments in which frames of the host are held: whatever a thread drops while another
    holds its frame is finalised by that other one. Python's own interval makes that rare."""

    def __init__(self) -> None:
        super().__init__(STEADY_TURN_S)


def forget_after_fork() -> None:
    """In a forked child: the threads that had set it are not there."""
    if _befores:
        _set(_befores[0])
        _befores.clear()


def _set(seconds: float) -> None:
    """Set it so that the same number is read again: it is kept in whole microseconds, rounded
    down, and what was read and set back often would creep towards zero."""
    sys.setswitchinterval(seconds + 5e-7)
