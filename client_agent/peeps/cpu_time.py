"""What the system knows about another thread: processor time used, whether it is about to wake.

Decides nothing else.
"""

import time
from typing import Any

from . import unpatched


def thread_cpu_ns(ident: int) -> int | None:
    """Nanoseconds that a thread has run, by its ident; None where the system does not tell.

    Only for threads just seen alive (in sys._current_frames): the system is not asked to be
    kind about idents of threads that have ended.
    """
    try:
        return time.clock_gettime_ns(time.pthread_getcpuclockid(ident))
    except (AttributeError, OSError):
        return None


def is_runnable(native_id: int | None) -> bool:
    """Whether a thread runs or would if the machine let it (Linux); False if that is not told."""
    try:
        with open(f"/proc/self/task/{native_id}/stat", "rb") as file:  # noqa: PTH123
            return file.read().rpartition(b")")[2].split()[0] == b"R"
    except (OSError, IndexError):
        return False


def about_to_wake(poller: Any) -> bool:
    """Whether an epoll or kqueue object has events: who sleeps in it is waking up. It can be
    polled itself."""
    fileno = getattr(poller, "fileno", None)
    if fileno is None:
        return False
    poll = unpatched.poll()
    poll.register(fileno(), unpatched.POLLIN)
    return bool(poll.poll(0))
