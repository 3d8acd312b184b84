"""From a connection's handle to the addresses of its two ends, after the cut.

Decides how a socket is asked, and remembers the answer: the addresses of a connected socket never
change. Refuses to know who uses the connection.
"""

import select
import weakref
from typing import Any

from .. import unpatched
from . import socket_table
from .connections import Handle
from .socket_addresses import Pair, ip_pair


class Resolver:
    """Turns handles into pairs. Kept between snapshots."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[weakref.ref[Any], Pair]] = {}

    def pair(self, handle: Handle | None) -> Pair | None:
        """Both ends of a connection; None if it has none by now."""
        if handle is None:
            return None
        if type(handle) is tuple:
            return ip_pair("tcp", *handle)
        if type(handle) is int:
            return _unix_pair(handle)
        assert isinstance(handle, weakref.ref)
        found = handle()
        if found is None:
            return None
        known = self._known.get(id(found))
        if known is not None and known[0]() is found:
            return known[1]
        pair = _ask(found)
        if pair is not None:
            self._known[id(found)] = (handle, pair)
        return pair

    def forget_the_dead(self) -> None:
        """Drop what is known about sockets that are gone."""
        self._known = {key: entry for key, entry in self._known.items() if entry[0]() is not None}


def has_room(handle: Handle | None) -> bool:
    """Whether a socket would take more to send at once, or is closed by now."""
    found = handle() if isinstance(handle, weakref.ref) else None
    if found is None:
        return False
    try:
        poll = unpatched.poll()
        poll.register(found.fileno(), select.POLLOUT)
        return bool(poll.poll(0))
    except (OSError, ValueError):
        return True


def _ask(connection: Any) -> Pair | None:
    try:
        local = connection.getsockname()
        if type(local) is not tuple:
            return _unix_pair(connection.fileno())
        family = "tcp" if connection.type & 0xF == 1 else "udp"
        return ip_pair(family, local, connection.getpeername())
    except OSError:
        return None


def _unix_pair(descriptor: int) -> Pair | None:
    inode = socket_table.inode_of(descriptor)
    row = socket_table.unix_socket(inode) if inode is not None else None
    return row.pair if row is not None else None
