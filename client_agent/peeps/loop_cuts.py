"""Which kind of cut each event loop gets, and whether the cut held.

Decides: a loop that sleeps in its selector is never woken, its tasks are frozen, and the agent's
thread looks at them (parked). A loop that turns, or that a timer is about to wake, is asked to run
the cut itself between two steps (in_loop): it would move in the middle of a look. One that does
not come round in time is inside one long step (blocked) or too busy (sampled); the agent's thread
looks. Refuses to know how a loop is found, asked or read: its collector does.

A look from the agent's thread is atomic when the loop's thread stood at the very same place, or
inside the very same step, before and after it.
"""

from collections.abc import Callable, Iterable
from typing import Any

from . import unpatched
from .collectors.base import Loop, LoopCollector
from .cpu_time import thread_cpu_ns
from .cut import BLOCKED, IN_LOOP, PARKED, SAMPLED, Cut, Seen
from .graph import Graph
from .pause import no_garbage_collection
from .signal_handlers import as_raised, is_from_signal_handler
from .turns import SteadyTurns

PATIENCE_S = 0.05
"""How long a loop may take to come round and run the cut itself."""
_LOOK_S, _LOOK_AT_TASK_S = 0.002, 5e-6
"""About how long a look from the agent's thread takes, and how much longer for each task."""
_SLICE_S = 0.005
_MOST_PATIENCE = 10
"""On a busy machine a loop gets its patience in processor time, up to so many times as long."""


class LoopCut:
    """One loop's cut: what was decided, what came of it."""

    def __init__(self, collector: LoopCollector, loop: Loop) -> None:
        self.collector = collector
        self.loop = loop
        self.kind: str | None = None
        self.atomic = False
        self.captured: Any = None
        self.problem: str | None = None
        self.woke_up = False
        """Whether it slept when the last look at it began, and not when that was over."""
        self.waited_s = 0.0
        """How long the loop did not come round although it was asked."""
        self.turn_began_ago_s: float | None = None
        self.ready = 0
        self._captured_at_ns = 0
        self._borrowed: list[Any] = []
        self._claim = self._done = unpatched.allocate_lock()
        self._step: object | None = None
        self._moves = False
        self._place: object | None = None
        self._used_before: int | None = None
        self._ran_s: float | None = None
        self._take_back: Callable[[], None] = _nothing

    # asked: the loop runs the cut itself

    def ask(self, cut: Cut) -> None:
        """Have the loop take its cut when it comes round. `cut` is noted into by its thread."""
        self._step = self.loop.step(cut)
        self.note_progress(cut)
        part = cut.part()
        self._claim = claim = unpatched.allocate_lock()
        self._done = done = unpatched.allocate_lock()
        done.acquire()

        def work() -> None:
            if not claim.acquire(False):
                return  # taken back
            try:
                with no_garbage_collection():
                    self.captured = self.collector.capture_loop(self.loop, part)
                cut.absorb(part)
                self.kind, self.atomic = IN_LOOP, True
                self._captured_at_ns = unpatched.perf_counter_ns()
            except Exception as exc:
                if is_from_signal_handler(exc):
                    raise as_raised(exc)  # noqa: B904
                self.problem = type(exc).__name__
            finally:
                try:
                    part.borrowed.clear()  # here, in the loop's own thread
                finally:
                    done.release()

        self._take_back = self.loop.ask(work)

    def sleeps_on(self, cut: Cut, seconds: float) -> bool:
        """Whether it sleeps in its selector, and longer than a look takes or `seconds`."""
        if self.loop.place_if_parked(cut) is None:
            return False
        due_in = self.loop.due_in()
        look_s = _LOOK_S + _LOOK_AT_TASK_S * self.loop.task_count()
        return due_in is None or due_in >= min(look_s, seconds)

    def note_progress(self, cut: Cut) -> None:
        """Whether the loop's thread moves, and how long it has really run since it was asked."""
        frame = cut.frames.get(self.loop.ident)
        place = None if frame is None else (id(frame), frame.f_lasti)
        self._moves = place is not None and place != self._place
        self._place = place
        used = None if frame is None else thread_cpu_ns(self.loop.ident)
        if used is not None and self._used_before is None:
            self._used_before = used
        self._ran_s = None if used is None else (used - (self._used_before or 0)) / 1e9

    def is_starved(self, patience_s: float) -> bool:
        """Whether its thread wants to run but the machine has not let it for long enough."""
        return self._moves and self._ran_s is not None and self._ran_s < patience_s

    def wait(self, seconds: float) -> bool:
        """Whether the loop has taken its cut within so many seconds."""
        if self._done.acquire(True, seconds):
            self._done.release()
            return True
        return False

    def give_up(self) -> bool:
        """Take the wish back; False if the loop has begun by now (then wait for it)."""
        if not self._claim.acquire(False):
            return False
        self._take_back()
        return True

    def leave_out_step(self, cut: Cut) -> None:
        """A loop that took its cut stood between two steps then. The step in which its thread is
        by now belongs to another instant: what it holds, a task was seen to wait for."""
        if self.kind == IN_LOOP:
            frame = self.loop.frame_around_step(cut)
            if frame is not None:
                cut.frames[self.loop.ident] = frame

    # not asked: the agent's thread looks

    def look(self, cut: Cut) -> object:
        """Capture from the agent's thread; returns what `held` needs to judge it."""
        place = self.loop.place_if_parked(cut)
        step = self.loop.step(cut)
        if place is not None:
            self.kind = PARKED
        else:
            self.kind = BLOCKED if step is not None and step == self._step else SAMPLED
            self.turn_began_ago_s = self.loop.turn_began_ago(cut)
        # Asked only of a loop that sleeps: it gives up the interpreter lock for a moment.
        self.ready = 0 if place is None else self.loop.ready_count()
        part = cut.part()
        part.frames = cut.frames
        self._borrowed = part.borrowed
        try:
            self.captured = self.collector.capture_loop(self.loop, part)
        finally:
            cut.absorb(part)
        return (place, getattr(place, "f_lasti", None), step)  # uvloop's place holds its own

    def held(self, before: Any, cut: Cut) -> bool:
        """Whether the loop's thread is still where it was when the look began."""
        place, lasti, step = before
        if place is not None:
            now = self.loop.place_if_parked(cut)
            self.atomic = now == place and getattr(now, "f_lasti", None) == lasti
        else:
            self.atomic = step is not None and self.loop.step(cut) == step
        self.woke_up = not self.atomic and self.kind == PARKED
        if self.woke_up:
            self.kind = SAMPLED
        self._give_back()
        return self.atomic

    def _give_back(self) -> None:
        """Let go of the tasks that the look held. If the loop moved meanwhile, some may have
        ended, and dropping the last reference here would run their finalisers in the agent's
        thread: then the loop drops them, in its own time."""
        borrowed, self._borrowed = self._borrowed, []
        if self.atomic:
            borrowed.clear()
        else:
            self.loop.ask(borrowed.clear, is_quick=True)

    def apart_ms(self, looked_at_ns: int) -> float | None:
        """How far its own cut lies from the agent's look; None if that was the same."""
        if self.kind != IN_LOOP:
            return None
        return round((looked_at_ns - self._captured_at_ns) / 1e6, 3)

    def attributes(self) -> dict[str, Any]:
        """What the loop's node tells about its cut."""
        ago = self.turn_began_ago_s
        return {
            "cut": self.kind,
            "atomic": self.atomic,
            "not_turned_s": None if ago is None or self.kind == PARKED else round(ago, 3),
            "waited_s": round(self.waited_s, 3) if self.waited_s else None,
            # Work that nobody told the loop about: put there from another thread without waking
            # it, as call_soon instead of call_soon_threadsafe does.
            "ready_while_parked": self.ready if self.kind == PARKED and self.ready else None,
            "problem": self.problem,
        }


def ask_turning_loops(
    cuts: Iterable[LoopCut],
    cut: Cut,
    look: Callable[[Cut], None],
    patience_s: float = PATIENCE_S,
) -> list[LoopCut]:
    """Let the loops that turn take their own cut; returns those that the agent must look at.

    `look` refreshes the frames of a cut.
    """
    left = []
    asked = []
    with SteadyTurns():
        look(cut)
        for loop_cut in cuts:
            if loop_cut.sleeps_on(cut, patience_s):
                left.append(loop_cut)
            else:
                loop_cut.ask(cut)
                asked.append(loop_cut)
        cut.close()
    began = unpatched.monotonic()
    while asked:
        waited = unpatched.monotonic() - began
        if waited >= patience_s and not any(c.is_starved(patience_s) for c in asked):
            break
        if waited >= patience_s * _MOST_PATIENCE:
            break
        asked[0].wait(_SLICE_S)
        left += [c for c in asked if c.wait(0) and c.kind != IN_LOOP]  # it failed
        asked = [loop_cut for loop_cut in asked if not loop_cut.wait(0)]
        if asked:
            asked = _without_sleepers(asked, cut, look, left, patience_s - waited)
    for loop_cut in asked:
        if loop_cut.give_up():
            loop_cut.waited_s = unpatched.monotonic() - began
            left.append(loop_cut)
        else:
            loop_cut.wait(patience_s * 100)  # it is at it: a cut of many tasks takes its time
    return left


def _without_sleepers(
    asked: list[LoopCut],
    cut: Cut,
    look: Callable[[Cut], None],
    left: list[LoopCut],
    seconds_left: float,
) -> list[LoopCut]:
    """A loop that fell asleep before it met the wish stays asleep: it is looked at instead."""
    still = []
    with SteadyTurns():  # frames are held
        look(cut)
        for loop_cut in asked:
            if loop_cut.sleeps_on(cut, seconds_left) and loop_cut.give_up():
                left.append(loop_cut)
            else:
                loop_cut.note_progress(cut)
                still.append(loop_cut)
        cut.close()
    return still


def build_loops(cuts: Iterable[LoopCut], graph: Graph, seen: Seen) -> None:
    """A node for each loop: its thread, its cut; and what a loop that does not turn needs."""
    for loop_cut in cuts:
        loop = loop_cut.loop
        thread = graph.ref(seen.thread_ref(loop.ident))
        node = graph.node(
            *loop.ref,
            label=f"{loop.library} loop",
            library=loop.library,
            thread=thread,
            **loop_cut.attributes(),
            **seen.facts.loop_outlook.get(loop.ref, {}),
        )
        if loop_cut.kind != BLOCKED:
            continue
        why = "the loop has been inside one step since it was asked to come round"
        running = seen.facts.thread_task.get(loop.ident)
        if running is None:
            graph.edge(node, thread, "needs", inferred=why)
        else:
            graph.edge(node, graph.ref(running), "needs", inferred=why)
            graph.edge(graph.ref(running), thread, "needs", inferred="its step runs there")


def _nothing() -> None:
    pass
