"""Waiting: for a socket, for time, or to be woken by another thread. One poll, no busy loop.

Also decides whether a descriptor is still the agent's. Hosts that turn into daemons close every
descriptor they know nothing of, and the numbers are used again by files of their own: to read,
write or close one of those would be to destroy the host's data. So what a number stands for is
noted when it is opened and compared before each use.
"""

import contextlib
import os
from contextlib import nullcontext

from . import unpatched
from .turns import ShortTurns

FileId = tuple[int, int]
"""Device and inode: what a descriptor stands for. Sockets and pipes have one as well."""


def file_id(fd: int) -> FileId | None:
    """What a descriptor stands for now; None if it is closed."""
    try:
        status = os.fstat(fd)
    except OSError:
        return None
    return status.st_dev, status.st_ino


class Waker:
    """One thread waits, any thread wakes it."""

    def __init__(self) -> None:
        self._open()

    def _open(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        os.set_blocking(self._read, False)
        self._ids = file_id(self._read), file_id(self._write)

    def wake(self) -> None:
        """End the wait under way, or else the next one."""
        with contextlib.suppress(OSError):
            if file_id(self._write) == self._ids[1]:
                os.write(self._write, b"x")

    def wait(
        self,
        seconds: float | None,
        fd: int = -1,
        events: int = unpatched.POLLIN,
        turns: ShortTurns | None = None,
    ) -> bool:
        """Until woken, until `fd` is ready, or so many seconds; whether `fd` is ready.

        `turns` that are being kept short are given back meanwhile, and only then: everything
        around the wait gives up the interpreter lock and has to get it back.

        Raises OSError if there are no descriptors left to wait with.
        """
        if file_id(self._read) != self._ids[0] or file_id(self._write) != self._ids[1]:
            self.close()
            self._open()
        poll = unpatched.poll()
        poll.register(self._read, unpatched.POLLIN)
        if fd >= 0:
            poll.register(fd, events)
        timeout = None if seconds is None else seconds * 1000
        with turns.given_back() if turns is not None else nullcontext():
            found = poll.poll(timeout)
        ready = {number for number, _ in found}
        if self._read in ready and file_id(self._read) == self._ids[0]:
            with contextlib.suppress(OSError):
                os.read(self._read, 4096)
        return fd in ready

    def close(self) -> None:
        """Close what is still ours."""
        for fd, ours in zip((self._read, self._write), self._ids, strict=True):
            if ours is not None and file_id(fd) == ours:
                os.close(fd)
