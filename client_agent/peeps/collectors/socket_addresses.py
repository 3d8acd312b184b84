"""Addresses of sockets, written so that both ends of a connection write the same.

Decides the canonical form of an address and the ids of socket nodes; pure. An id is made of the
ordered pair of addresses, so the other end's id is the same pair the other way round. IPv4
addresses mapped into IPv6 are IPv4. A loopback address or the inode of a Unix socket means
something on one host only (or in one network namespace), so such ids carry where they are valid:
two hosts that report to one daemon must not find each other's.
"""

import ipaddress
from typing import Any, NamedTuple


class Address(NamedTuple):
    """An end of a connection: for IP "host:port" or "[host]:port", for Unix an inode."""

    text: str
    is_local: bool
    """Whether it is valid on one host only."""

    @property
    def port(self) -> str:
        """The port of an IP address."""
        return self.text.rpartition(":")[2]


class Pair(NamedTuple):
    """Both ends of a connection, as one of them sees it."""

    family: str
    """"tcp", "udp" or "unix"."""
    local: Address
    remote: Address

    def id(self, scope: str) -> str:
        """The node of the local end. `scope` names this host and network namespace."""
        return f"socket:{self.family}:{self.local.text}>{self.remote.text}{self._where(scope)}"

    def peer_id(self, scope: str) -> str:
        """The node of the other end, as its own process calls it."""
        return f"socket:{self.family}:{self.remote.text}>{self.local.text}{self._where(scope)}"

    def _where(self, scope: str) -> str:
        return f"@{scope}" if self.local.is_local or self.remote.is_local else ""


def ip_address(sockname: Any) -> Address | None:
    """The canonical form of what `getsockname` returns for IPv4 and IPv6; None for anything else.

    IPv6 scope ids are left out: each host numbers its interfaces itself.
    """
    if type(sockname) is not tuple or len(sockname) < 2:
        return None
    host, port = sockname[0], sockname[1]
    if type(host) is not str or type(port) is not int:
        return None
    try:
        parsed = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv6Address):
        mapped = parsed.ipv4_mapped
        if mapped is None:
            return Address(f"[{parsed.compressed}]:{port}", parsed.is_loopback)
        parsed = mapped
    return Address(f"{parsed.compressed}:{port}", parsed.is_loopback)


def ip_pair(family: str, local: Any, remote: Any) -> Pair | None:
    """A connection from what `getsockname` and `getpeername` return; None if it is not one."""
    ends = ip_address(local), ip_address(remote)
    return Pair(family, ends[0], ends[1]) if ends[0] and ends[1] else None


def unix_pair(inode: int, peer_inode: int) -> Pair:
    """A connection between two Unix sockets of one kernel."""
    return Pair("unix", Address(str(inode), True), Address(str(peer_inode), True))
