"""Telling a thread that is stuck from one that is merely between two steps.

Decides how often a thread ran, and that one did not: the kernel counts how often each thread was
scheduled, and one whose count did not move has not executed a single instruction. (A thread that
waits for the interpreter lock wakes up every few milliseconds, and so is counted.) Linux only;
elsewhere nothing is believed.
"""

import os
from collections.abc import Iterable

from .. import unpatched

PATIENCE_S = 0.015
"""Three switch intervals: whoever only waits for the interpreter lock has woken by then."""
_MAX_THREADS = 64


class Watch:
    """Watches threads from the moment it is made."""

    def __init__(self, native_ids: Iterable[int | None]) -> None:
        known = [i for i in native_ids if i is not None][:_MAX_THREADS]
        self._before = {i: count for i in known if (count := times_scheduled(i)) is not None}

    def did_not_run(self) -> set[int]:
        """Native ids of those that have not run since; waits for PATIENCE_S first."""
        if not self._before:
            return set()
        unpatched.sleep(PATIENCE_S)
        return {i for i, count in self._before.items() if times_scheduled(i) == count}


def times_scheduled(native_id: int) -> int | None:
    """How often a thread of this process was given a processor, as far as the kernel tells."""
    return _timeslices(native_id) or _switches(native_id)


def _timeslices(native_id: int) -> int | None:
    """The short way to learn it; 0 where the kernel does not keep count of that."""
    fields = (_read(native_id, "schedstat") or b"").split()
    return int(fields[2]) if len(fields) == 3 and fields[2].isdigit() else None


def _switches(native_id: int) -> int | None:
    lines = (_read(native_id, "status") or b"").splitlines()
    counts = [line.rpartition(b":")[2].strip() for line in lines if b"_ctxt_switches" in line]
    return sum(map(int, counts)) if counts and all(c.isdigit() for c in counts) else None


def _read(native_id: int, name: str) -> bytes | None:
    try:
        fd = os.open(f"/proc/self/task/{native_id}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(fd, 8192)
        finally:
            os.close(fd)
    except OSError:
        return None
