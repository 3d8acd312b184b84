"""How long threads keep the interpreter lock around an answer: shorter turns, so that the
agent is let in and lets others in, and longer ones for a look that did not hold.

Decides nothing but that the host gets its own interval back.
"""

import operator
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType
from typing import Self

from . import unpatched
from .host_settings import HostSetting

SHORT_TURN_S = 0.0001
"""How soon threads hand over the interpreter lock while a request is answered."""
STEADY_TURN_S = 0.005
"""Python's own interval."""


def _microseconds() -> int:
    return round(sys.getswitchinterval() * 1e6)


def _set(microseconds: int) -> None:
    """Set it so that the same number is read again: it is kept in whole microseconds, rounded
    down, and what was read and set back often would creep towards zero."""
    sys.setswitchinterval((microseconds + 0.5) / 1e6)


_interval = HostSetting(_microseconds, _set)

repair = _interval.repair
forget_after_fork = _interval.forget_after_fork


class _Turns:
    def __init__(self, seconds: float, is_better: Callable[[int, int], bool]) -> None:
        self._wanted = round(seconds * 1e6)
        self._is_better = is_better
        """Whether turns of the first length are to be preferred to those of the second."""
        self._code: CodeType | None = None

    def __enter__(self) -> Self:
        self._code = sys._getframe(1).f_code
        try:
            self._hold()
        except BaseException:  # by a signal handler of the host
            _interval.release(self)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        _interval.release(self)

    def begin(self) -> None:
        """Until `end`, which another function of another thread may call."""
        self._code = None
        self._hold()

    def end(self) -> None:
        """Undo `begin`; may be called twice."""
        _interval.release(self)

    def _hold(self) -> None:
        if self._is_better(self._wanted, _interval.value()):
            _interval.hold(self, self._wanted, self._code)


class ShortTurns(_Turns):
    """Makes threads hand over the interpreter lock sooner while a request is answered.

    Who wants the lock asks for it when it was not given up for an interval. A loop that never
    rests gives it up for a moment at each step, so whoever waits is told, comes too late, and
    starts to wait anew: with steps shorter than the interval it never gets to ask. Not for looks:
    one that is interrupted does not hold, and keeps alive what it looks at.
    """

    def __init__(self) -> None:
        super().__init__(SHORT_TURN_S, operator.lt)

    @contextmanager
    def given_back(self) -> Iterator[None]:
        """The host's own turns for a while."""
        _interval.release(self)
        try:
            yield
        finally:
            self._hold()


class LongTurns(_Turns):
    """Holds the interpreter lock a little longer, for a retry of a look that did not hold."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds, operator.gt)

    def _hold(self) -> None:
        if sys.getswitchinterval() < 2 * SHORT_TURN_S:
            # Who waits already does so by the short interval, and would interrupt soon: let them
            # in now. Who had to hand the lock back is awake again only after the next line.
            unpatched.sleep(0)
        super()._hold()


class SteadyTurns(LongTurns):
    """For moments in which frames of the host are held: whatever a thread drops while another
    holds its frame is finalised by that other one. Python's own interval makes that rare."""

    def __init__(self) -> None:
        super().__init__(STEADY_TURN_S)
