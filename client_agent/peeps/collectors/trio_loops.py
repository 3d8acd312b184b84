"""trio's run loops: which run, on which thread, whether they sleep, and how to ask them.

Decides how a runner is found and how it is asked without being woken: an instrument put straight
into its table is called by the loop right before it waits for IO, between two batches of steps.
If the loop sleeps it stays asleep (run_sync_soon would wake it). The instrument is only ever
removed by the loop's own thread, since the loop looks its tables up twice.
"""

import gc
import sys
import time
import types
import weakref
from collections.abc import Callable
from typing import Any

from ..cpu_time import about_to_wake
from ..cut import Cut
from ..graph import Ref
from ..rules import find_code
from ..statics import MISSING, class_name, static_get, static_path
from .library_frames import variable


class TrioLoop:
    """A running trio.run. Holds its runner weakly where it can."""

    library = "trio"

    def __init__(self, runner: Any, ident: int) -> None:
        self.ref: Ref = ("event_loop", id(runner))
        self.ident = ident
        self._runner = weakref.ref(runner)

    @property
    def runner(self) -> Any:
        """The runner, or None if it is gone. Do not keep it."""
        return self._runner()

    def place_if_parked(self, cut: Cut) -> object | None:
        """The frame that waits for IO, if nothing is to be run; each wait has its own."""
        frame = cut.frames.get(self.ident)
        runner = self.runner
        if frame is None or runner is None or frame.f_code.co_name != "get_events":
            return None
        if not _is_io_manager(frame):
            return None
        timeout = variable(frame, "timeout")
        return frame if isinstance(timeout, int | float) and timeout > 0 else None

    def due_in(self) -> float | None:
        """Seconds until the first deadline, if the clock is trio's own."""
        runner = self.runner
        now = clock_time(runner)
        heap = static_path(runner, "deadlines._heap")
        first = list(heap[:1]) if type(heap) is list else []
        return first[0][0] - now if first and now is not None else None

    def task_count(self) -> int:
        runner = self.runner
        return 0 if runner is None else len(runner.tasks)

    def ready_count(self) -> int:
        """How many tasks are scheduled in a sleeping run that nothing is about to wake."""
        runner = self.runner
        if runner is None or about_to_wake(static_path(runner, "io_manager._epoll")):
            return 0
        return len(runner.runq)

    def step(self, cut: Cut) -> object | None:
        """The task that runs and how often it was scheduled before."""
        task = self.running_task()
        return None if task is None else (id(task), static_get(task, "_schedule_points"))

    def running_task(self) -> Any:
        runner = self.runner
        for task in list(runner.tasks) if runner is not None else ():
            if getattr(task.coro, "cr_running", False):
                return task
        return None

    def frame_around_step(self, cut: Cut) -> types.FrameType | None:
        """The frame of trio.run, unless it waits for IO."""
        innermost = cut.frames.get(self.ident)
        if innermost is None or innermost.f_code.co_name == "get_events":
            return None
        code = find_code(sys.modules["trio._core._run"], "run")
        for frame in cut.stack_frames(self.ident):
            if frame.f_code is code:
                return frame
        return None

    def turn_began_ago(self, cut: Cut) -> float | None:
        """trio does not note when an iteration began."""
        return None

    def ask(self, work: Callable[[], None], *, is_quick: bool = False) -> Callable[[], None]:
        """Have the loop run `work` before it next waits for IO."""
        runner = self.runner
        if runner is None:
            return _nothing
        instrument = _Once(work, runner.instruments, runner.entry_queue)
        runner.instruments.add_instrument(instrument)
        return instrument.take_back


class _Once:
    """A trio instrument with one hook, called once."""

    def __init__(self, work: Callable[[], None], table: Any, entry_queue: Any) -> None:
        self._work: Callable[[], None] | None = work
        self._table = table
        self._entry_queue = entry_queue

    def before_io_wait(self, timeout: float) -> None:
        work, self._work = self._work, None
        self._table.remove_instrument(self)
        if work is None:
            return
        try:
            work()
        except BaseException as exc:
            # Raised by a signal handler of the host. trio would log it as ours and go on; like
            # this it ends the run, as it would if trio were waiting.
            self._entry_queue.run_sync_soon(_raise, exc)

    def take_back(self) -> None:
        """It stays in the table, doing nothing, until the loop comes by."""
        self._work = None


def _nothing() -> None:
    pass


def _raise(exc: BaseException) -> None:
    raise exc


def _is_io_manager(frame: types.FrameType) -> bool:
    name = frame.f_globals.get("__name__")
    return type(name) is str and name.startswith("trio.")


def clock_time(runner: Any) -> float | None:
    """The runner's clock now; None if it is not trio's own (a test's clock runs host code)."""
    clock = static_get(runner, "clock")
    offset = static_get(clock, "offset") if class_name(clock) == "SystemClock" else MISSING
    return offset + time.perf_counter() if type(offset) is float else None


def running_runners(cut: Cut) -> tuple[list[TrioLoop], list[Any]]:
    """Runners whose thread is known, and those that only show in trio's own table: in guest
    mode another loop drives trio, and no frame tells on which thread. Neither are those that ran
    in the parent when it forked this process."""
    module = sys.modules["trio._core._run"]
    code = find_code(module, "run")
    found: dict[int, TrioLoop] = {}
    inherited = set()
    for ident in list(cut.frames):
        for frame in cut.stack_frames(ident):
            if frame.f_code is code:
                runner = variable(frame, "runner")
                if type(runner) is module.Runner and id(runner) not in found:
                    found[id(runner)] = TrioLoop(runner, ident)
                break
        for frame in cut.inherited_frames(ident):
            if frame.f_code is code:
                inherited.add(id(variable(frame, "runner")))
    cut.inherited.update(inherited - found.keys())
    known = found.keys() | cut.inherited
    others = [runner for runner in _listed_runners(module) if id(runner) not in known]
    return list(found.values()), others


def _listed_runners(module: types.ModuleType) -> list[Any]:
    """Runners in GLOBAL_RUN_CONTEXT: a thread-local object keeps one dictionary a thread."""
    context = getattr(module, "GLOBAL_RUN_CONTEXT", None)
    runner_type = getattr(module, "Runner", None)
    if context is None or runner_type is None:
        return []
    found: list[Any] = []
    todo, depth = [context], 3
    while todo and depth:
        following = []
        for obj in gc.get_referents(*todo):
            if type(obj) is dict and type(obj.get("runner")) is runner_type:
                found.append(obj["runner"])
            elif type(obj) is dict or class_name(obj) in ("_localdummy", "_thread._localdummy"):
                following.append(obj)
        todo, depth = following, depth - 1
    return found
