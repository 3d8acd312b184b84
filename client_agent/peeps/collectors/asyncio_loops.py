"""asyncio's event loops: which run, on which thread, whether they sleep, and how to ask them.

Decides how a loop is found and how it is asked without being woken. Refuses to know tasks.

An observer must not disturb: a loop that sleeps in its selector is never woken, since its
program may hang only because nobody wakes it. The stdlib loop is asked by putting a handle into
its ready queue *without* writing to its self-pipe: if it turns it meets the handle, if it falls
asleep before that it stays asleep. uvloop's queue cannot be reached like that, so a uvloop loop
is asked the ordinary way, and only when its thread is seen executing a callback.
"""

import asyncio
import sys
import types
import weakref
from collections.abc import Callable
from typing import Any

from .. import forked_frames, unpatched
from ..cpu_time import about_to_wake, is_runnable, thread_cpu_ns
from ..cut import Cut
from ..graph import Ref
from ..rules import find_code
from ..statics import MISSING, class_module, static_get, static_path
from .frame_values import View
from .library_frames import variable

_FINDERS = (
    ("asyncio.base_events", "BaseEventLoop.run_forever", "self"),
    ("asyncio.base_events", "BaseEventLoop.run_until_complete", "self"),
    ("asyncio.runners", "Runner.run", "self._loop"),
)
"""Library functions in whose frames a running loop can be read: module, function, path."""


_CALLS = frozenset({"run_forever", "run_until_complete"})

_WATCHES, _WATCH_S = 4, 0.005


class AsyncioLoop:
    """A running event loop. Holds it weakly: looking at a loop must not keep it alive."""

    def __init__(self, loop: Any, ident: int, caller: int | None = None) -> None:
        self.ref: Ref = ("event_loop", id(loop))
        self.library = class_module(loop).partition(".")[0]
        self.ident = ident
        self._loop = weakref.ref(loop)
        self._was_watched = False
        self._caller = caller
        """id of the code that called into a compiled loop."""

    @property
    def loop(self) -> Any:
        """The loop itself, or None if it is gone. Do not keep it."""
        return self._loop()

    @property
    def is_stdlib(self) -> bool:
        return isinstance(self.loop, asyncio.BaseEventLoop)

    def time(self) -> float:
        """The loop's clock now; uvloop's is the same, but reading it would set it."""
        return asyncio.BaseEventLoop.time(self.loop)

    def turn_began_ago(self, cut: Cut) -> float | None:
        """Seconds since the loop's current iteration began to run callbacks, if it tells.

        uvloop does not: asking it for its time would set its clock.
        """
        frame = self._run_once_frame(cut) if self.is_stdlib else None
        began = variable(frame, "end_time") if frame is not None else None
        return max(self.time() - began, 0.0) if type(began) is float else None

    def step(self, cut: Cut) -> object | None:
        """The frame that runs the current callback: each has its own, and while it is kept
        its address is not used again. uvloop has none; its innermost Python frame must do."""
        if not self.is_stdlib:
            frame = cut.frames.get(self.ident)
            return None if frame is None else (id(frame), id(current_task(self.loop)))
        inner = None
        run_once = _run_once_code()
        for frame in cut.stack_frames(self.ident):
            if frame.f_code is run_once:
                return inner
            inner = frame
        return None

    def frame_around_step(self, cut: Cut) -> types.FrameType | None:
        """The loop's own frame, or its caller's where that is compiled."""
        innermost = cut.frames.get(self.ident)
        if self.is_stdlib:
            frame = self._run_once_frame(cut)
            is_asleep = innermost is not None and innermost.f_code.co_name == "select"
            return None if frame is innermost or is_asleep else frame
        for frame in cut.stack_frames(self.ident):
            if id(frame.f_code) == self._caller:
                return None if frame is innermost else frame
        return None

    def _run_once_frame(self, cut: Cut) -> types.FrameType | None:
        run_once = _run_once_code()
        for frame in cut.stack_frames(self.ident):
            if frame.f_code is run_once:
                return frame
        return None

    def place_if_parked(self, cut: Cut) -> object | None:
        """The selector's frame if the loop sleeps in it with nothing to do; else None.

        Each sleep is a new call: the same frame later means that it slept all the while.
        """
        frame = cut.frames.get(self.ident)
        if frame is None:
            return None
        if not self.is_stdlib:
            return self._place_in_compiled_loop(frame, cut)
        caller = frame.f_back
        if caller is None or caller.f_code is not _run_once_code():
            return None
        # A loop with something to do only peeks, with a timeout of 0. (Whether its queue is
        # empty says less: what was put there from another thread does not wake it.)
        timeout = variable(frame, "timeout") if frame.f_code.co_name == "select" else 0
        if type(timeout) in (int, float) and timeout == 0:
            return None
        return frame

    def due_in(self) -> float | None:
        """Seconds until its first timer; uvloop does not tell."""
        scheduled: Any = static_get(self.loop, "_scheduled") if self.is_stdlib else ()
        first = list(scheduled[:1]) if type(scheduled) is list else []
        when = static_get(first[0], "_when") if first else None
        return when - self.time() if type(when) is float else None

    def task_count(self) -> int:
        """All tasks of all loops: nothing counts them loop by loop."""
        return len(_known())

    def ready_count(self) -> int:
        """How many callbacks wait in the queue of a sleeping loop that nothing is about to wake;
        0 where that is not told."""
        if about_to_wake(static_path(self.loop, "_selector._selector")):
            return 0
        ready: Any = static_get(self.loop, "_ready") if self.is_stdlib else ()
        handles = [] if ready is MISSING else list(ready)
        return sum(static_get(handle, "_cancelled") is False for handle in handles)

    def _place_in_compiled_loop(self, frame: types.FrameType, cut: Cut) -> object | None:
        """A compiled loop shows the same frame whether it sleeps or turns; but a thread that
        sleeps uses no processor time. The first time, that is watched for a moment."""
        if id(frame.f_code) != self._caller:
            return None
        used = thread_cpu_ns(self.ident)
        if used is None:
            return None
        if not self._was_watched:
            self._was_watched = True
            thread = cut.threads.get(self.ident)
            native_id = thread.native_id if thread is not None else None
            for _ in range(_WATCHES):
                unpatched.sleep(_WATCH_S)
                # On a busy machine a thread may use no time because it gets none.
                if thread_cpu_ns(self.ident) != used or is_runnable(native_id):
                    return None
        # Processor time may be told in coarse steps; what tasks wait for is exact.
        return (id(frame), frame.f_lasti, used, waits_signature())

    def ask(self, work: Callable[[], None], *, is_quick: bool = False) -> Callable[[], None]:
        """Have the loop run `work` in its next iteration, if there is one.

        Not in debug mode, unless it is quick: the loop would log a slow callback that is not
        its program's.
        """
        loop = self.loop
        if loop is None or loop.is_closed() or (loop.get_debug() and not is_quick):
            return _nothing
        if not self.is_stdlib:
            handle = loop.call_soon_threadsafe(work)
            return handle.cancel  # type: ignore[no-any-return]
        ready = static_get(loop, "_ready")
        if ready is MISSING:
            return _nothing
        handle = _Wish(work, (), loop)
        ready.append(handle)
        return handle.cancel


class _Wish(asyncio.Handle):
    """What a loop runs for us. If a signal handler of the host raises meanwhile, that comes out
    of the loop as it would while it sleeps, instead of being logged as a callback's."""

    __slots__ = ()

    def _run(self) -> None:
        self._callback(*self._args)  # type: ignore[attr-defined]


def known_tasks() -> list[Any]:
    """Weak references to asyncio's tasks, those that are done included, in one C call."""
    return list(_known())


def _known() -> Any:
    module = sys.modules["asyncio.tasks"]
    known = getattr(module, "_scheduled_tasks", None)
    if known is None:
        known = getattr(module, "_all_tasks", None)
    return getattr(known, "data", ())


def waits_signature() -> int:
    """A number that changes when a task comes, goes, or waits for something else."""
    waits = []
    for reference in known_tasks():  # one by one: none is kept alive
        task = reference()
        if hasattr(task, "_fut_waiter"):
            waits.append(id(task._fut_waiter))
        del task
    return hash(tuple(waits))


def _nothing() -> None:
    pass


def _run_once_code() -> types.CodeType | None:
    return find_code(asyncio.BaseEventLoop, "_run_once")


def current_task(loop: Any) -> Any:
    """The task whose step runs on a loop now, or None."""
    if sys.version_info >= (3, 14):
        return asyncio.current_task(loop)
    return getattr(sys.modules["asyncio.tasks"], "_current_tasks", {}).get(loop)


def _finder_codes() -> dict[int, str]:
    found = {}
    for module, name, path in _FINDERS:
        code = find_code(sys.modules[module], name) if module in sys.modules else None
        if code is not None:
            found[id(code)] = path
    return found


def running_loops(cut: Cut, loops: dict[int, Any]) -> list[AsyncioLoop]:
    """The loops that run, from the frames of all threads; `loops` are those that tasks name.

    On which thread a compiled loop (uvloop) runs shows in a frame of asyncio's runner, or on
    the value stack of whoever called it; where neither can be read it stays out.
    """
    codes = _finder_codes()
    found: dict[int, AsyncioLoop] = {}
    for ident in list(cut.frames):
        for frame in cut.stack_frames(ident):
            loop = _loop_in(frame, codes)
            if loop is not None and id(loop) not in found:
                found[id(loop)] = AsyncioLoop(loop, ident, id(frame.f_code))
                break
    inherited = _inherited(cut, loops, codes)
    for key, loop in loops.items():
        ident = static_get(loop, "_thread_id")
        if key in found or key in inherited:
            continue
        if type(ident) is int and ident in cut.frames:
            found[key] = AsyncioLoop(loop, ident)
    if any(key not in found for key in loops):
        _find_by_calls(cut, loops, found)
    cut.inherited.update(inherited - found.keys())
    return list(found.values())


def _loop_in(frame: types.FrameType, codes: dict[int, str]) -> Any:
    """The loop that a frame of a library function runs; None if it is no such frame."""
    path = codes.get(id(frame.f_code))
    if path is None:
        return None
    loop = variable(frame, "self")
    if path == "self._loop":
        loop = static_get(loop, "_loop")
    return loop if isinstance(loop, asyncio.AbstractEventLoop) else None


def _inherited(cut: Cut, loops: dict[int, Any], codes: dict[int, str]) -> set[int]:
    """Ids of the loops that ran in the parent when it forked this process, if it did: beneath the
    fork, or on a thread that did not come along."""
    found: set[int] = set()
    if not forked_frames.is_child():
        return found
    for ident in list(cut.frames):
        for frame in cut.inherited_frames(ident):
            loop = _loop_in(frame, codes)
            if loop is None:
                loop = _loop_by_call(frame, loops)
            if loop is not None:
                found.add(id(loop))
    for key, loop in loops.items():
        thread = static_get(loop, "_thread_id")
        if type(thread) is int and thread not in cut.frames:
            found.add(key)
    return found


def _loop_by_call(frame: types.FrameType, loops: dict[int, Any]) -> Any:
    """The loop whose run_forever or run_until_complete a frame has called; None if it has not."""
    if not _CALLS.intersection(frame.f_code.co_names):
        return None
    operation = View(frame).operation()
    if operation is None or operation.name not in _CALLS or id(operation.owner) not in loops:
        return None
    return operation.owner


def _find_by_calls(cut: Cut, loops: dict[int, Any], found: dict[int, AsyncioLoop]) -> None:
    """Loops in whose run_forever or run_until_complete some thread's frame is."""
    taken = {loop.ident for loop in found.values()}
    for ident in cut.frames.keys() - taken:
        for frame in cut.stack_frames(ident):
            loop = _loop_by_call(frame, loops)
            if loop is not None:
                found.setdefault(id(loop), AsyncioLoop(loop, ident, id(frame.f_code)))
                break
