"""Who makes room for a newcomer when no more connections are allowed.

Decides: a connection that has never sent a byte, the one that has had the most chances first:
those that were asked for a snapshot and said nothing before those that nobody asked, the longest
silent first among each. Whoever has shown a byte stays, and so does everybody for a moment after
connecting. A real process of the seed protocol that is cut this way connects again; one that has
answered is never cut. Refuses to know streams and clocks: callers pass Unix nanoseconds.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from .registry import Peer, Registry

MOMENT_NS: Final = 10_000_000_000
"""How long a new connection is left in peace."""
SEARCH_EVERY_NS: Final = 1_000_000_000
"""Thousands of connections are looked through at most so often, however fast newcomers come."""


class Crowd:
    """Finds who leaves, one after the other."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._leavers: Iterator[Peer] = iter(())
        self._searched_ns: int | None = None

    def leaver(self, now_ns: int) -> Peer | None:
        """Whom to cut, never the same twice; None: nobody may be."""
        peer = self._next()
        if peer is None and self._may_search(now_ns):
            self._searched_ns = now_ns
            self._leavers = iter(silent(self._registry.peers(), now_ns))
            peer = self._next()
        return peer

    def _next(self) -> Peer | None:
        """The next of those that were found, if it is there still, and silent."""
        for peer in self._leavers:
            if not peer.bytes_in and self._registry.get(peer.connection_id) is peer:
                return peer
        return None

    def _may_search(self, now_ns: int) -> bool:
        # abs: the clock may have been set back.
        return self._searched_ns is None or abs(now_ns - self._searched_ns) >= SEARCH_EVERY_NS


def silent(peers: Iterable[Peer], now_ns: int) -> list[Peer]:
    """Those that may be cut, in the order in which they would be."""
    found = [
        peer
        for peer in peers
        if not peer.bytes_in
        and not peer.initiated_by_us
        and now_ns - peer.connected_at_ns >= MOMENT_NS
    ]
    return sorted(found, key=lambda p: (p.first_asked_s is None, p.connected_at_ns))
