"""The connection to the daemon: opening it, reading and writing it, by C types nobody patches.

Decides how an address is connected to, and that a descriptor which the host has closed, and may
use for a file of its own by now, is never touched again. Refuses to know messages.
"""

import _socket
import contextlib
import errno
import os
from typing import Any

from . import unpatched
from .config import Address
from .waker import Waker, file_id

_KEEPALIVE = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))


own_inodes: set[int] = set()
"""Of the sockets in here: no business of whoever looks at the sockets of the host."""


class Link:
    """A socket that is the agent's own for as long as its number stands for it."""

    def __init__(self, family: int) -> None:
        self._socket = unpatched.CSocket(family, _socket.SOCK_STREAM)
        self._file = file_id(self._socket.fileno())
        if self._file is not None:
            own_inodes.add(self._file[1])

    def fileno(self) -> int:
        """Its descriptor. Raises OSError if that is not ours any more."""
        fd: int = self._socket.fileno()
        if self._file is None or file_id(fd) != self._file:
            raise OSError(errno.EBADF, "the host has closed the descriptor")
        return fd

    def connect(self, target: Any, timeout_s: float, waker: Waker) -> None:
        """Raises OSError, also when woken: a fork does not wait for a daemon that is not there."""
        self.fileno()
        self._socket.settimeout(0)
        code = self._socket.connect_ex(target)
        if code == errno.EINPROGRESS:
            if not waker.wait(timeout_s, self.fileno(), unpatched.POLLOUT):
                raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
            self.fileno()
            code = self._socket.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
        self._socket.settimeout(None)

    def set_quietly(self, level: int, option: int, value: int) -> None:
        """Set an option; one that the system does not have is done without."""
        with contextlib.suppress(OSError):
            self._socket.setsockopt(level, option, value)

    def receive(self, size: int) -> bytes:
        """Some bytes, empty at the end. Raises OSError."""
        self.fileno()
        data: bytes = self._socket.recv(size)
        return data

    def send(self, chunks: list[bytes], timeout_s: float) -> None:
        """All of it. Raises OSError."""
        self.fileno()
        self._socket.settimeout(timeout_s)
        for chunk in chunks:
            self.fileno()
            self._socket.sendall(chunk)
        self.fileno()
        self._socket.settimeout(None)

    def close(self) -> None:
        """Close it if it is ours, else forget its number. No shutdown: after a fork, the other
        side goes on using it."""
        if self._file is not None:
            own_inodes.discard(self._file[1])
        with contextlib.suppress(OSError):
            try:
                self.fileno()
            except OSError:
                self._socket.detach()
            else:
                self._socket.close()


def connect(address: Address, timeout_s: float, waker: Waker) -> Link:
    """A connected link. Raises OSError."""
    if isinstance(address, str):
        return _connected(_socket.AF_UNIX, address, timeout_s, waker)
    host, port = address
    # As bytes: for text the codec "idna" would be imported, in this thread.
    encoded = host.encode("ascii" if host.isascii() else "idna")
    infos = _socket.getaddrinfo(encoded, port, 0, _socket.SOCK_STREAM)
    error: OSError = OSError(f"no address for {host}")
    for family, _, _, _, target in infos:
        try:
            link = _connected(family, target, timeout_s, waker)
        except OSError as exc:
            error = exc
            continue
        link.set_quietly(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        link.set_quietly(_socket.SOL_SOCKET, _socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE:
            if hasattr(_socket, name):
                link.set_quietly(_socket.IPPROTO_TCP, getattr(_socket, name), value)
        return link
    raise error


def _connected(family: int, target: Any, timeout_s: float, waker: Waker) -> Link:
    link = Link(family)
    try:
        link.connect(target, timeout_s, waker)
    except BaseException:
        link.close()
        raise
    return link
