"""Holding still: no garbage collection while the process is looked at. Decides nothing else."""

import gc
from _thread import allocate_lock
from collections.abc import Iterator
from contextlib import contextmanager

_lock = allocate_lock()
_holders = 0
_threshold = 0
"""The host's, while there are holders."""


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Hold off collections: they would run finalisers of the host inside the cut.

    By the threshold, not by gc.disable(): a host that asks meanwhile whether collection is on,
    or turns it off, must neither be told a lie nor be overruled afterwards. Several threads may
    do so at once; the last one to leave sets the threshold back.
    """
    _hold()
    try:
        yield
    finally:
        _release()


def _hold() -> None:
    global _holders, _threshold
    with _lock:
        if _holders == 0:
            _threshold = gc.get_threshold()[0]
            gc.set_threshold(0)
        _holders += 1


def _release() -> None:
    global _holders
    with _lock:
        if _holders == 0:
            return  # forked while it was held; the child has it back already
        _holders -= 1
        if _holders == 0:
            _set_back()


def _set_back() -> None:
    if gc.get_threshold()[0] == 0:  # else the host has set another meanwhile
        gc.set_threshold(_threshold)


def forget_after_fork() -> None:
    """In a forked child: the threads that held collections off are not there."""
    global _lock, _holders
    _lock = allocate_lock()
    if _holders:
        _holders = 0
        _set_back()
