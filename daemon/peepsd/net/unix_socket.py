"""A Unix socket to listen on, for machines whose other users must not connect.

Decides that it is the owner's alone (0600), and when a socket that is there already is a dead
daemon's and may be replaced. Refuses to know who connects.
"""

import errno
import os
import socket
import stat
from pathlib import Path

import trio

BACKLOG = 1024


def open_unix_listener(path: str) -> trio.SocketListener:
    """Bind and listen at `path`. Raises OSError: EADDRINUSE if a daemon listens there or
    something else has that name."""
    _remove_dead_socket(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        mask = os.umask(0o177)  # the name must never exist with more rights than this
        try:
            listening.bind(path)
        finally:
            os.umask(mask)
        listening.listen(BACKLOG)
    except BaseException:
        listening.close()
        raise
    return trio.SocketListener(trio.socket.from_stdlib_socket(listening))


def remove_unix_socket(path: str) -> None:
    """Take the name away; harmless if it is gone."""
    Path(path).unlink(missing_ok=True)


def _remove_dead_socket(path: str) -> None:
    try:
        is_socket = stat.S_ISSOCK(Path(path).lstat().st_mode)
    except FileNotFoundError:
        return
    if is_socket and not _is_alive(path):
        remove_unix_socket(path)
    else:
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _is_alive(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return False
        except OSError:
            return True
    return True
