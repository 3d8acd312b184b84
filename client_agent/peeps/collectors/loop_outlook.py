"""What may set an event loop that sleeps in motion: descriptors it listens to, its next timer.

Decides which of the registered descriptors are the loop's own. Refuses to know what they are for:
counts only. A loop that tells nothing (uvloop) has no outlook.
"""

from typing import Any

from ..statics import static_get, static_path

_KQ_READ = -1


def outlook_of_asyncio(loop: Any, due_in: float | None) -> dict[str, Any]:
    """Of a loop of the standard library; `due_in`: seconds until its first timer, if any."""
    registered = static_path(loop, "_selector._fd_to_key")
    own = static_get(loop, "_internal_fds")  # to be woken by other threads and by signals
    if not isinstance(registered, dict) or type(own) is not int:
        return {}
    return _told(len(registered) - own, due_in)


def outlook_of_trio(runner: Any, due_in: float | None) -> dict[str, Any]:
    """Of a run of trio."""
    registered = static_path(runner, "io_manager._registered")
    if not isinstance(registered, dict):
        return {}
    fileno = getattr(static_path(runner, "entry_queue.wakeup.wakeup_sock"), "fileno", None)
    own = None if fileno is None else fileno()
    others = [key for key in list(registered) if key not in (own, (own, _KQ_READ))]
    return _told(len(others), due_in)


def _told(listens_to: int, due_in: float | None) -> dict[str, Any]:
    return {
        "listens_to": max(listens_to, 0),
        "next_timer_s": None if due_in is None else round(max(due_in, 0.0), 3),
    }
