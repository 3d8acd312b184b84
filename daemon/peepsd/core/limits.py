"""How long a peer may take, as numbers and one pure rule. Refuses to know streams and clocks.

A peer may be silent for as long as it likes between frames (a process of the seed protocol says
nothing until it is asked); inside a frame it must keep moving.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PeerLimits:
    """Seconds and bytes per second; see `frame_deadline` for how they play together."""

    stall_s: float = 10.0
    """Longest silence inside a frame."""
    frame_grace_s: float = 30.0
    """What any frame may take, however small its rate."""
    min_bytes_per_s: float = 64 * 1024
    """Slowest average rate of a frame beyond the grace."""
    hello_s: float = 5.0
    """With a token: how long to wait for the hello that carries it."""
    first_byte_s: float = 3600.0
    """A peer that was asked and has never sent a single byte is cut after this."""

    def frame_deadline(self, started_s: float, received: int, now_s: float) -> float:
        """When a frame that began at `started_s` and has `received` bytes is cut if no more
        arrives. Time in which we did not read must have been added to `started_s`."""
        at_this_rate = started_s + self.frame_grace_s + received / self.min_bytes_per_s
        return min(now_s + self.stall_s, at_this_rate)
