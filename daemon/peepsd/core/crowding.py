"""Who makes room for a newcomer when no more connections are allowed.

Decides: a connection that has never sent a byte, and of which nobody waits for an answer just
now. First those that were asked and missed it, then those that nobody has asked; among each the
host with the most silent connections first, and of one host the longest silent. Whoever has
shown a byte stays, and so does everybody for a moment after connecting. A real process of the
seed protocol that is cut this way connects again; one that has answered is never cut. Refuses to
know streams and clocks: callers pass Unix nanoseconds.
"""

from collections import Counter
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
        """The next of those that were found, if it is there still, silent and not being asked."""
        for peer in self._leavers:
            if _is_idle(peer) and self._registry.get(peer.connection_id) is peer:
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
        if _is_idle(peer)
        and not peer.initiated_by_us
        and now_ns - peer.connected_at_ns >= MOMENT_NS
    ]
    found.sort(key=lambda p: (p.misses == 0, p.connected_at_ns))
    left = Counter(_host(peer) for peer in found)
    order = []
    for peer in found:  # as many as its host has left when it is its turn
        order.append((peer.misses == 0, -left[_host(peer)], peer.connected_at_ns))
        left[_host(peer)] -= 1
    return [found[n] for n in sorted(range(len(found)), key=order.__getitem__)]


def _is_idle(peer: Peer) -> bool:
    return not peer.bytes_in and not peer.in_flight


def _host(peer: Peer) -> str:
    """Its address without the port."""
    return peer.remote_address.rpartition(":")[0]
