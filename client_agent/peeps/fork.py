"""Staying alive across fork, without a trace in the child and without a warning.

Threads do not survive a fork, so the child starts its own. But what a thread held at that moment
stays held in the child for ever, and the agent's thread now and then imports a module: a child
that inherits the lock of a half imported module hangs at its own import of it. So the agent's
thread is stopped before a fork and started again afterwards.

And since 3.12, a fork while another thread runs emits a DeprecationWarning, which must not be
the agent's doing: a program without threads must fork as silently as ever, warnings turned into
errors or not. The interpreter counts threads as late as after the parent's hooks (3.13), so there
the parent starts the thread by a pending call that puts itself off until the very frame that
called fork runs on. Where the host has more threads than its main one, or forks from another,
the warning is the host's own, and the agent is back at once.
"""

import contextlib
import functools
import os
import sys
import threading
from typing import Any

from . import forked_frames, pause, turns, unpatched
from .agent_thread import Agent

WARNS = sys.version_info >= (3, 12)
_GONE_WITHIN_S = 0.05
_STOPS_WITHIN_S = 0.5
"""Longer than an import takes; an agent that is waiting for a connection holds nothing."""


class _Fork:
    """The state of the hooks, which cannot be taken back once registered."""

    def __init__(self) -> None:
        self.agent: Agent | None = None
        self.is_registered = False
        self.caller: int | None = None
        """id of the frame that called fork, while a warning must be kept from it."""
        self.was_running = False
        """Whether the agent ran before the fork, and so is to run after it."""
        self.restarter: Any = None
        """The C function that starts the agent again; None where there is no ctypes."""


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
        if _fork.caller is not None:  # still stopped for the fork before this one
            _fork.caller = id(sys._getframe(1))
            return
        _fork.was_running = agent is not None and agent.is_running
        if agent is None or not _fork.was_running:
            return
        thread = agent.native_id
        must_be_silent = WARNS and _is_alone(agent) and _can_start_later()
        if agent.pause(_STOPS_WITHIN_S) and must_be_silent:
            _fork.caller = id(sys._getframe(1))
            _wait_until_gone(thread)
    except Exception:  # a fork must go on whatever happens here
        pass


def _after_in_parent() -> None:
    try:
        agent = _fork.agent
        if agent is not None and _fork.was_running and _fork.caller is None:
            agent.start()
    except Exception:
        pass


def _after_in_child() -> None:
    with contextlib.suppress(Exception):
        forked_frames.mark_stack(sys._getframe().f_back)
    try:
        agent = _fork.agent
        _fork.caller = None
        pause.forget_after_fork()
        turns.forget_after_fork()
        if agent is not None:
            agent.become_child()
            agent.start()
    except Exception:
        pass


def _is_alone(agent: Agent) -> bool:
    """Whether the host has no thread but the main one, which is the one that forks."""
    if unpatched.get_ident() != threading.main_thread().ident:
        return False
    frames = sys._current_frames()
    frames.pop(agent.ident or 0, None)  # it may have none yet
    return len(frames) <= 1


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


def _can_start_later() -> bool:
    """Have `_restart` called after each fork, when the frame that called it runs on; False if
    that cannot be.

    The hook is a C function, and registered as late as the first fork: the hooks of others have
    run by then, so that the pending call meets the frame that called fork before any other.
    """
    if _fork.restarter is None:
        try:
            import ctypes
        except ImportError:
            return False
        prototype = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
        _fork.restarter = prototype(_restart)
        add = functools.partial(ctypes.pythonapi.Py_AddPendingCall, _fork.restarter, None)
        os.register_at_fork(after_in_parent=add)
    return True


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
