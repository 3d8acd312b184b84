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
_SLICE_S = 0.0025
_MAX_THREADS = 256


class Watch:
    """Watches threads from the moment it is made; the first _MAX_THREADS of them."""

    def __init__(self, native_ids: Iterable[int | None]) -> None:
        known = [i for i in native_ids if i is not None][:_MAX_THREADS]
        self._before = {i: count for i in known if (count := times_scheduled(i)) is not None}

    def did_not_run(self) -> set[int]:
        """Native ids of those that have not run within PATIENCE_S. Waits no longer than until
        all have."""
        still = self._before
        until = unpatched.monotonic() + PATIENCE_S
        while still and (left := until - unpatched.monotonic()) > 0:
            unpatched.sleep(min(left, _SLICE_S))
            still = {i: count for i, count in still.items() if times_scheduled(i) == count}
        return set(still)


def times_scheduled(native_id: int) -> int | None:
    """How often a thread of this process was given a processor, as far as the kernel tells."""
    return _timeslices(native_id) or _switches(native_id)


def is_asleep(native_id: int) -> bool:
    """Whether a thread of this process is blocked in the kernel; whoever waits for the
    interpreter lock is, too."""
    return (_read(native_id, "stat") or b"").rpartition(b")")[2].split()[:1] in ([b"S"], [b"D"])


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
