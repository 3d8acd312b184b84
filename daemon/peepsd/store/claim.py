"""One peepsd a database, and the file that it began with.

Decides how a daemon claims its file (a lock that the kernel takes back however the process
ends) and whether the file at that path is still the claimed one. Refuses to know SQL.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import StoreError


class Claim:
    """A claimed file."""

    def __init__(self, path: str, descriptor: int) -> None:
        self._path = path
        self._identity = _identity(os.fstat(descriptor))

    def check(self) -> None:
        """Raise StoreError if others would not find at the path what is written to the file."""
        try:
            is_ours = _identity(Path(self._path).stat()) == self._identity
        except OSError:
            is_ours = False
        if not is_ours:
            raise StoreError(
                f"the database file {self._path} was deleted or replaced",
                hint="restart peepsd: it begins a new one, or goes on with the one that is there",
            )


@contextmanager
def claimed(path: str) -> Iterator[Claim]:
    """Claim the database at `path`, which is created if it is not there.

    Raises StoreError if another peepsd has it. SQLite has to be done with the file on leaving:
    closing any descriptor of it drops the process's own POSIX locks, which are SQLite's.
    """
    descriptor = open_private(path)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(
                f"another peepsd is using {path}",
                hint="stop it, or choose another file with PEEPS_DB",
            ) from None
        except OSError:
            pass  # a file system without such locks has to do without ours
        yield Claim(path, descriptor)
    finally:
        os.close(descriptor)


def open_private(path: str) -> int:
    """A descriptor of the file, created for its owner alone: graphs tell a lot about a system.
    SQLite gives the -wal and -shm files the same mode. Raises StoreError."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise StoreError(
            f"cannot open {path}: {exc.strerror}", hint="choose another file with PEEPS_DB"
        ) from exc


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
