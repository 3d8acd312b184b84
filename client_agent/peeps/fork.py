"""Staying alive across fork, without a warning.

Threads do not survive a fork, so the child starts its own. And since 3.12, a fork while another
thread runs emits a DeprecationWarning, which must not be the agent's doing: a program without
threads must fork as silently as ever, warnings turned into errors or not. So the agent's thread
is stopped before such a fork and started again afterwards.

The interpreter counts threads as late as after the parent's hooks (3.13), so the parent starts
the thread by a pending call that puts itself off until the very frame that called fork runs on.
Where the host has more threads than its main one, or forks from another, the warning is the
host's own, and nothing is stopped.
"""

import os
import sys
import threading
from typing import Any

from . import unpatched
from .agent_thread import Agent

WARNS = sys.version_info >= (3, 12)
_GONE_WITHIN_S = 0.05


class _Fork:
    """The state of the hooks, which cannot be taken back once registered."""

    def __init__(self) -> None:
        self.agent: Agent | None = None
        self.is_registered = False
        self.caller: int | None = None
        """id of the frame that called fork, while the agent's thread is stopped for it."""
        self.restarter: Any = None


_fork = _Fork()


def keep_alive_across_forks(agent: Agent) -> None:
    """From now on `agent` runs in every child as well."""
    _fork.agent = agent
    if not _fork.is_registered and hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child
        )
        _fork.is_registered = True


def let_go() -> None:
    """The agent was stopped for good."""
    _fork.agent = None


def _before() -> None:
    try:
        agent = _fork.agent
        _fork.caller = None
        if agent is None or not agent.is_running or not WARNS or not _is_alone():
            return
        thread = agent.native_id
        if not agent.pause(1.0):
            return
        _fork.caller = id(sys._getframe(1))
        _wait_until_gone(thread)
    except Exception:  # a fork must go on whatever happens here
        pass


def _after_in_parent() -> None:
    try:
        agent = _fork.agent
        if agent is None or _fork.caller is None:
            return
        if not _start_later():
            _fork.caller = None
            agent.start()
    except Exception:
        pass


def _after_in_child() -> None:
    try:
        agent = _fork.agent
        _fork.caller = None
        if agent is not None:
            agent.become_child()
            agent.start()
    except Exception:
        pass


def _is_alone() -> bool:
    """Whether the host has no thread but the main one, which is the one that forks."""
    if unpatched.get_ident() != threading.main_thread().ident:
        return False
    return len(sys._current_frames()) <= 2


def _wait_until_gone(native_id: int | None) -> None:
    """A thread that has returned is counted until the system has buried it."""
    end = unpatched.monotonic() + _GONE_WITHIN_S
    path = f"/proc/self/task/{native_id}"
    while native_id is not None and unpatched.monotonic() < end:
        try:
            os.stat(path)  # noqa: PTH116 - pathlib would be loaded for it
        except OSError:
            return
        unpatched.sleep(0.0001)


def _start_later() -> bool:
    """Have the agent started when the frame that called fork runs on; False if that cannot be."""
    try:
        import ctypes
    except ImportError:
        return False
    if _fork.restarter is None:
        prototype = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
        _fork.restarter = prototype(_restart)
    return bool(ctypes.pythonapi.Py_AddPendingCall(_fork.restarter, None) == 0)


def _restart(_: object) -> int:
    try:
        agent = _fork.agent
        if agent is None or _fork.caller is None:
            return 0
        frame = sys._getframe().f_back
        if frame is not None and id(frame) != _fork.caller:
            import ctypes

            if ctypes.pythonapi.Py_AddPendingCall(_fork.restarter, None) == 0:
                return 0
        _fork.caller = None
        agent.start()
    except Exception:
        pass
    return 0
