"""What the kernel says about this process's sockets: addresses, peers, bytes not yet taken.

Decides how to ask: one pass over /proc/net/tcp and tcp6 for the sockets that this process has
open, and the kernel's socket diagnosis for the peers of Unix sockets. Refuses to know tasks.
Runs outside of the cut, within bounds; where the kernel does not answer, less is told. Linux.
"""

import os
import socket
import struct
from typing import Any, NamedTuple

from .. import forked_frames, link, unpatched
from ..graph import Breath
from .socket_addresses import Address, Pair, ip_address, unix_pair

MAX_TABLE_BYTES = 4 << 20
_STATES = {1: "established", 2: "connecting", 8: "closed by peer", 10: "listening"}


class KernelSocket(NamedTuple):
    """A socket of this process as the kernel knows it."""

    pair: Pair
    state: str
    unread_bytes: int | None = None
    """Received, and not yet taken by this process. Of a listener: connections not accepted."""
    unsent_bytes: int | None = None
    """Sent by this process, and not yet confirmed by the other end."""
    path: str | None = None
    """The name of a Unix socket, abstract ones with a leading @."""


def own_socket_inodes(within_s: float) -> set[int]:
    """Inodes of the sockets that this process has open, as many as can be found in that time,
    without the agent's own.

    Each look at a file gives up the interpreter lock, which a busy program takes its time to
    give back: hence the bound.
    """
    return _socket_inodes("self", within_s) - link.own_inodes


def parents_socket_inodes(within_s: float) -> set[int]:
    """Likewise of the process that forked this one; none if it was not forked, or the parent is
    gone or may not be looked at."""
    return _socket_inodes(os.getppid(), within_s) if forked_frames.is_child() else set()


def _socket_inodes(process: int | str, within_s: float) -> set[int]:
    end = unpatched.monotonic() + within_s
    found: set[int] = set()
    try:
        with os.scandir(f"/proc/{process}/fd") as files:
            for file in files:
                if unpatched.monotonic() > end:
                    break
                inode = inode_of(file.name, process)
                if inode is not None:
                    found.add(inode)
    except OSError:
        pass
    return found


def inode_of(descriptor: int | str, process: int | str = "self") -> int | None:
    """The inode of the socket behind an open file; None if it is none."""
    try:
        target = os.readlink(f"/proc/{process}/fd/{descriptor}")  # noqa: PTH115
    except OSError:
        return None
    return int(target[8:-1]) if target.startswith("socket:[") else None


def tcp_sockets() -> list[tuple[int, KernelSocket]]:
    """All TCP sockets of this network namespace, each with its inode (0: nobody's)."""
    found: list[tuple[int, KernelSocket]] = []
    breath = Breath()
    for table in ("tcp", "tcp6"):
        for line in _lines(f"/proc/self/net/{table}"):
            breath.take()
            fields = line.split()
            if len(fields) >= 10 and fields[9].isdigit():
                row = _tcp_row(fields)
                if row is not None:
                    found.append((int(fields[9]), row))
    return found


def _lines(path: str) -> list[str]:
    try:
        with open(path, "rb", buffering=0) as table:  # noqa: PTH123
            data = b""
            while chunk := table.read(1 << 20):
                data += chunk
                if len(data) > MAX_TABLE_BYTES:
                    return []  # what is cut off could be ours: say nothing at all
    except OSError:
        return []
    return data.decode("ascii", "replace").splitlines()[1:]


def _tcp_row(fields: list[str]) -> KernelSocket | None:
    local, remote = parse_proc_address(fields[1]), parse_proc_address(fields[2])
    state = int(fields[3], 16)
    unsent, unread = (int(part, 16) for part in fields[4].split(":"))
    if local is None or remote is None:
        return None
    said = _STATES.get(state, "closing")
    return KernelSocket(Pair("tcp", local, remote), said, unread, unsent)


def parse_proc_address(text: str) -> Address | None:
    """An address as /proc/net/tcp writes it: hexadecimal words in the machine's byte order."""
    host, _, port = text.partition(":")
    packed = b"".join(struct.pack("=I", int(host[k : k + 8], 16)) for k in range(0, len(host), 8))
    family = socket.AF_INET if len(packed) == 4 else socket.AF_INET6
    return ip_address((socket.inet_ntop(family, packed), int(port, 16)))


# ------------------------------------------------------------------ Unix sockets

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST = 1
_SHOW_NAME, _SHOW_PEER = 1, 4
_ATTRIBUTE_NAME, _ATTRIBUTE_PEER = 0, 2
_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBHIIIII")
_ANSWER_BYTES = 16


def unix_socket(inode: int) -> KernelSocket | None:
    """What the kernel says about a Unix socket of that inode; None if it has no other end.

    Where a jail forbids to ask, the other ends of Unix sockets cannot be told.
    """
    try:
        kernel = unpatched.CSocket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG
        )
    except OSError:
        return None
    try:
        kernel.settimeout(0.2)
        return _ask(kernel, inode)
    except OSError:
        return None
    finally:
        kernel.close()


def _ask(kernel: Any, inode: int) -> KernelSocket | None:
    show = _SHOW_NAME | _SHOW_PEER
    request = _REQUEST.pack(socket.AF_UNIX, 0, 0, 0xFFFFFFFF, inode, show, 0xFFFFFFFF, 0xFFFFFFFF)
    header = _HEADER.pack(
        _HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, inode & 0xFFFFFFFF, 0
    )
    kernel.send(header + request)
    return parse_unix_answer(kernel.recv(65536), inode)


def parse_unix_answer(answer: bytes, inode: int) -> KernelSocket | None:
    """What the kernel says about one Unix socket; None for an error, or without a peer."""
    length, kind, _, _, _ = _HEADER.unpack_from(answer)
    if kind != _SOCK_DIAG_BY_FAMILY:
        return None
    peer, path = 0, None
    offset = _HEADER.size + _ANSWER_BYTES
    while offset + 4 <= min(length, len(answer)):
        size, attribute = struct.unpack_from("=HH", answer, offset)
        value = answer[offset + 4 : offset + size]
        if attribute == _ATTRIBUTE_PEER and len(value) >= 4:
            (peer,) = struct.unpack_from("=I", value)
        elif attribute == _ATTRIBUTE_NAME and value:
            path = value.replace(b"\0", b"@", 1) if value[0] == 0 else value.rstrip(b"\0")
        offset += max(4, (size + 3) & ~3)
    if not peer:
        return None
    name = None if path is None else path.decode("utf-8", "replace")
    return KernelSocket(unix_pair(inode, peer), "established", path=name)


def scope() -> str:
    """A name of this kernel and network namespace, the same for all processes inside of it."""
    parts = []
    try:
        with open("/proc/sys/kernel/random/boot_id", "rb") as boot:  # noqa: PTH123
            parts.append(boot.read(8).decode())
        namespace = os.readlink("/proc/self/ns/net")  # noqa: PTH115
        parts.append(f"{int(namespace[5:-1]):x}")
    except (OSError, ValueError):
        parts.append(socket.gethostname())
    return "-".join(parts)
