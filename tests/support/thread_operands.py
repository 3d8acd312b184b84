"""Threads whose calls work on things that nobody owns: a program that only a reader of stale
addresses can crash. `python thread_operands.py COUNT` takes so many snapshots, and says so.

Each of these once crashed its host: the interpreter lets go of such operands while the frame still
stands at the call, and a finaliser written in C gives up the interpreter lock in the middle of it.
Standard library only, so that every Python at hand can run it.
"""

import _queue
import _thread
import contextlib
import fcntl
import operator
import os
import select
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from peeps.snapshot import snapshot_dict

FILE = os.devnull
taken = threading.Lock()


class Holder:
    """Something whose end closes a file, which gives up the interpreter lock."""

    def __init__(self) -> None:
        self.file = open(FILE, "wb", buffering=0)  # noqa: SIM115, PTH123

    def fileno(self) -> int:
        return self.file.fileno()


class HoldingQueue(_queue.SimpleQueue[int]):
    def __init__(self) -> None:
        self.holder = Holder()
        self.put(1)


class HoldingLock(_thread.RLock):  # type: ignore[misc]
    def __init__(self) -> None:
        self.holder = Holder()


class Unbound:
    """Its methods do not refer to it: while it is entered, nobody does."""

    __enter__ = taken.__enter__
    __exit__ = taken.__exit__


def star() -> None:
    time.sleep(*[0.0005 + 0.0])


def unbound_manager() -> None:
    with Unbound():
        time.sleep(0.0005)


def argument() -> None:
    with contextlib.suppress(OSError):
        fcntl.flock(Holder(), fcntl.LOCK_SH)


def truth() -> None:
    lock = threading.Lock()
    with contextlib.suppress(TypeError):  # before 3.12
        lock.acquire(Holder())  # type: ignore[arg-type]
        lock.release()
    with contextlib.suppress(TypeError):
        lock.acquire(blocking=Holder())  # type: ignore[arg-type]


def wrong_argument() -> None:
    with contextlib.suppress(TypeError):
        select.poll().poll(Holder())  # type: ignore[arg-type]


def queue_of_its_own() -> None:
    HoldingQueue().get()


def lock_of_its_own() -> None:
    HoldingLock().acquire()


class WithLock:
    def __init__(self) -> None:
        self.acquire: Any = threading.Lock().acquire
        self.holder = Holder()


def function_that_returns_one() -> None:
    acquire = operator.attrgetter("acquire")
    acquire(WithLock())


SCENES = (
    star,
    unbound_manager,
    argument,
    truth,
    wrong_argument,
    queue_of_its_own,
    lock_of_its_own,
    function_that_returns_one,
)


def main(count: int) -> None:
    def for_ever(scene: Callable[[], None]) -> None:
        while True:
            scene()

    for scene in SCENES:
        for _ in range(2):
            threading.Thread(target=for_ever, args=(scene,), daemon=True).start()
    taken.acquire()
    for number in range(count):
        snapshot_dict("operands")
        if number == count // 2:
            taken.release()
    print("survived", flush=True)
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
