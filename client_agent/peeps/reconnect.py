"""How long to wait before trying the daemon again. Pure: the caller brings chance and clock.

For ever, since daemons are restarted; with jitter, since a thousand processes lose the same
daemon at the same moment; starting small, since most outages are restarts.
"""

from typing import Final

FIRST_S: Final = 0.2
LONGEST_S: Final = 5.0
STEADY_S: Final = 10.0
"""A connection that lasted so long was a good one: the next outage starts small again."""


class Backoff:
    """Delays that double from FIRST_S to LONGEST_S, each between half of itself and itself."""

    def __init__(self) -> None:
        self._next = FIRST_S

    def delay(self, chance: float) -> float:
        """Seconds until the next try; `chance` is a random number from 0 to 1."""
        span = self._next
        self._next = min(span * 2, LONGEST_S)
        return span * (0.5 + chance / 2)

    def connected_for(self, seconds: float) -> None:
        """A connection ended that had lasted so long."""
        if seconds >= STEADY_S:
            self._next = FIRST_S
