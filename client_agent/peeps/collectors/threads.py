"""Every thread of the process: its stack, what it waits for, which locks it holds.

Decides what becomes of what was seen in the cut: which waits are certain enough for an edge, and
how threads, futures and executors hang together. Refuses to read frames itself (`frame_values`,
`thread_waits`, `thread_holdings`, `executors` do).

A thread that sits at a lock need not wait for it: under contention the new owner sits at the very
same place until it gets the interpreter lock. So an edge to an interpreter's lock is drawn only
if the lock's holder was found, or if the thread did not run at all for a while afterwards. In the
same way a thread inside of a call of which nothing is known is told from one that computes.
"""

import os
import sys
import threading
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any

from ..cut import Cut, Seen
from ..facts import Holding
from ..graph import Graph, Ref
from ..statics import static_get
from ..turns import SteadyTurns
from . import frame_values
from .code_analysis import analyse
from .executors import Executors
from .frame_values import View
from .future_sources import note_source
from .known_calls import find_code_in
from .patience import Watch, is_asleep, times_scheduled
from .thread_holdings import HeldLock, held_locks
from .thread_nodes import ThreadRow, build_thread, holders_of
from .thread_waits import ThreadWait, ThreadWaitReader


def collector() -> "Threads":
    return Threads()


_COPIED_BY_FORK = frozenset(("_thread", "threading"))
"""Modules of locks of which a forked child has its own copy, held as it was at the fork. Those of
multiprocessing are shared: the parent still holds them, and a loop's go with its tasks."""


@dataclass(slots=True)
class Captured:
    """All that the cut found, in plain values."""

    rows: list[ThreadRow] = field(default_factory=list)
    written: dict[Ref, str] = field(default_factory=dict)
    """How the program wrote the things that were met."""
    executors: Executors = field(default_factory=Executors)


class Threads:
    """The Collector of threads."""

    name = "threads"

    def __init__(self) -> None:
        self._waits = ThreadWaitReader()

    def applies(self) -> bool:
        return True

    def prepare(self, cut: Cut) -> None:
        """Analyse the code of today's stacks now, so that the cut finds it in the cache."""
        reason = frame_values.prepare()
        if reason is not None:
            cut.facts.unknown["value stacks of threads"] = reason
        self._waits.load()
        with SteadyTurns():
            places = _places_of_all_threads()
        for code, lasti, is_innermost in places:
            analysis = analyse(code)
            analysis.active(code, lasti)
            if is_innermost:
                analysis.site(code, lasti)

    def capture(self, cut: Cut) -> Captured:
        look = _Look(cut, self._waits)
        for ident in list(cut.frames):
            try:
                look.at_thread(ident)
            except Exception:  # it went on while it was looked at
                look.lost(ident)
        look.at_futures()
        return look.captured

    def build(self, captured: Captured, graph: Graph, seen: Seen) -> None:
        still = _still_threads(captured, seen)
        for row in captured.rows:
            build_thread(row, graph, seen, row.ident in still, _turns(row, seen, still))
        for ref, written in captured.written.items():
            graph.node(*ref, written_as=written)
        captured.executors.build(graph, seen)


class _Look:
    """One look at all threads, inside the cut. Its objects die with it."""

    def __init__(self, cut: Cut, waits: ThreadWaitReader) -> None:
        self.captured = Captured()
        self._cut = cut
        self._waits = waits
        self._loops: list[Any] = []
        self._futures: list[Any] = []
        self._executor_codes = {id(code) for code in self.captured.executors.codes()}
        self._loop_codes = {id(find_code_in("asyncio.base_events", "BaseEventLoop.run_forever"))}
        self._condition_codes = {
            id(find_code_in("threading", "Condition.wait")),
            id(find_code_in("multiprocessing.synchronize", "Condition.wait")),
        }
        self._special = self._executor_codes | self._loop_codes | self._condition_codes

    def at_thread(self, ident: int) -> None:
        """Its stack, what it waits for, what it holds and lets go."""
        cut, captured = self._cut, self.captured
        views = [View(frame) for frame in cut.stack_frames(ident)]
        wait = self._waits.read(views, cut)
        let_go: list[Any] = []
        for view in views:
            if id(view.code) in self._special:
                self._at_special_frame(view, ident, let_go)
        for view in views:
            if view.holds_something():
                for holding in held_locks(view):
                    if not any(holding.lock is lock for lock in let_go):
                        self._holds(ident, holding, wait)
        beneath = [View(frame) for frame in cut.inherited_frames(ident)]
        for view in beneath:
            if view.holds_something():
                for holding in held_locks(view):
                    if type(holding.lock).__module__ in _COPIED_BY_FORK:
                        self._holds(ident, holding, wait)
        for hook in cut.on_thread:
            try:
                hook(cut.thread_ref(ident), views, wait)
            except Exception:  # what a hook cannot read costs the thread nothing else
                cut.facts.unreadable["thread"] = cut.facts.unreadable.get("thread", 0) + 1
        spots = [cut.place(view.code, view.lasti) for view in reversed(views + beneath)]
        if wait is not None:
            wait = self._take_note(wait, ident)
        captured.rows.append(ThreadRow(ident, tuple(spots), wait))

    def _at_special_frame(self, view: View, ident: int, let_go: list[Any]) -> None:
        """A frame of a library function that tells something by being there."""
        key = id(view.code)
        if key in self._executor_codes:
            self.captured.executors.see(view, ident, self._cut)
        elif key in self._loop_codes:
            self._loops.append(view.argument())
        else:
            # Who waits in a condition has released its lock, although it entered it.
            condition = view.argument()
            let_go += [condition, static_get(condition, "_lock")]

    def lost(self, ident: int) -> None:
        """A thread that could not be read is shown all the same, without anything to tell."""
        unreadable = self._cut.facts.unreadable
        unreadable["thread"] = unreadable.get("thread", 0) + 1
        self.captured.rows.append(ThreadRow(ident, (), None))

    def at_futures(self) -> None:
        """Who will set the futures that threads wait for: asked when all loops are known."""
        for future in self._futures:
            note_source(future, self._loops, self._cut)

    def _holds(self, ident: int, holding: HeldLock, wait: ThreadWait | None) -> None:
        ref = self._cut.resource(holding.lock)
        if ref is None or (wait is not None and ref in wait.needs and holding.by_finally):
            return  # that finally stands around the acquire which is still under way
        self._write(ref, holding.written)
        self._cut.holds(holding.lock, self._cut.thread_ref(ident), holding.how)

    def _write(self, ref: Ref, written: str | None) -> None:
        """Remember how the program writes a thing; `self.lock` says more than `lock`."""
        known = self.captured.written.get(ref)
        if written and (known is None or ("." in written and "." not in known)):
            self.captured.written[ref] = written

    def _take_note(self, wait: ThreadWait, ident: int) -> ThreadWait:
        """Record what others need to know of a wait, and let its objects go."""
        cut = self._cut
        if wait.contended is not None:
            ref, owner = wait.contended
            if owner is not None and owner in cut.frames:
                recorded = cut.facts.holders.setdefault(ref, [])
                recorded.append(Holding(cut.thread_ref(owner), "recorded", inferred=False))
        if wait.kind == "future" and wait.target is not None:
            self._futures.append(wait.target)
        if wait.needs:
            self._write(wait.needs[0], wait.written)
        return wait._replace(target=None, socket=None)


def _places_of_all_threads() -> list[tuple[CodeType, int, bool]]:
    """Code and instruction of every frame of every thread, without keeping a frame."""
    found = []
    for top in list(sys._current_frames().values()):
        frame: FrameType | None = top
        while frame is not None:
            found.append((frame.f_code, frame.f_lasti, frame is top))
            frame = frame.f_back
    return found


def _still_threads(captured: Captured, seen: Seen) -> set[int]:
    """Idents of threads at a lock without a known holder that really wait for it, and of those
    in calls of which nothing is known but that they do not return.

    They stand at the same instruction still, and do not run for a while.
    """
    doubtful = {row.ident: row for row in captured.rows if _is_doubtful(row, seen)}
    natives = {ident: native for ident in doubtful if (native := _native_id(ident, seen))}
    watch = Watch(natives.values())
    with SteadyTurns():
        there = {
            ident
            for ident, frame in sys._current_frames().items()
            if ident in doubtful and doubtful[ident].spots[-1] == (id(frame.f_code), frame.f_lasti)
        }
    still = watch.did_not_run()
    return {
        ident
        for ident, native in natives.items()
        if native in still and ident in there and is_asleep(native)
    }


def _is_doubtful(row: ThreadRow, seen: Seen) -> bool:
    """Whether only patience can tell if a thread waits."""
    if row.wait is None:
        native = _native_id(row.ident, seen) if row.spots else None
        return native is not None and is_asleep(native)
    return row.wait.contended is not None and not holders_of(row.wait.contended[0], seen)


def _turns(row: ThreadRow, seen: Seen, still: set[int]) -> int | None:
    """How often a thread that waits has run so far: what is stuck does not run."""
    waits = row.wait is not None or row.ident in still
    native = _native_id(row.ident, seen) if waits else None
    return None if native is None else times_scheduled(native)


def _native_id(ident: int, seen: Seen) -> int | None:
    """The kernel's number of a thread. The main thread's is the pid; what threading has noted
    for it may be its parent's, after a fork."""
    if ident == threading.main_thread().ident:
        return os.getpid()
    thread = seen.threads.get(ident)
    return None if thread is None else thread.native_id
