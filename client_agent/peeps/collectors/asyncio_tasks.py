"""asyncio's tasks, on the stdlib loop and on uvloop, of all loops in all threads.

Decides which tasks there are, in which state each is, and which of them each loop's cut is to
see. Refuses to know when and on which thread the cut runs (cut.py, snapshot.py).

Tasks are listed from asyncio's own sets by one C call each: a WeakSet's iterator may raise while
another thread adds to it, `list(set)` does not.
"""

import asyncio
import sys
from collections.abc import Iterator
from typing import Any

from ..awaitables import Coroutine
from ..cut import Cut, Seen
from ..graph import Graph, Ref
from ..rules import Rulebook
from ..statics import type_name
from .asyncio_loops import AsyncioLoop, current_task, running_loops
from .asyncio_waits import WaitReader, find_setters, task_ref, timeout_of
from .task_nodes import RUNNABLE, RUNNING, WAITING, TaskRow, Tasks, build_tasks
from .tasks import (
    ChainReader,
    Shape,
    links_of,
    note_holdings,
    note_releases,
    running_spots,
    spots_of,
)

make = tuple.__new__

MAX_TASKS_FOR_SETTERS = 20_000
"""Looking for a bare future in every local variable doubles the cut: not above so many tasks."""


def collector() -> "AsyncioTasks":
    return AsyncioTasks()


class AsyncioTasks:
    """The LoopCollector of asyncio."""

    name = "asyncio_tasks"

    def __init__(self) -> None:
        self._reader = ChainReader(Rulebook())

    def applies(self) -> bool:
        return "asyncio.tasks" in sys.modules

    def prepare(self, cut: Cut) -> None:
        self._reader.load(cut)

    def loops(self, cut: Cut) -> list[AsyncioLoop]:
        return running_loops(cut, {id(loop): loop for loop in map(_loop_of, each_task()) if loop})

    def capture(self, cut: Cut) -> Tasks:
        """The tasks whose loop does not run, or not on a thread that is known."""
        tasks = Tasks()
        known = cut.loops
        for task in all_tasks():
            loop = _loop_of(task)
            if loop is not None and ("event_loop", id(loop)) in known:
                continue
            reader = WaitReader(cut, tasks, asyncio.BaseEventLoop.time(loop))
            self._one(task, cut, tasks, reader, None, None)
        cut.places.adopt(self._reader.codes)
        return tasks

    def capture_loop(self, loop: AsyncioLoop, cut: Cut) -> Tasks:
        tasks = Tasks()
        running = loop.loop
        if running is None:
            return tasks
        now = loop.time()
        reader = WaitReader(cut, tasks, now)
        current = current_task(running)
        chains: list[tuple[Ref, list[Any], Shape]] = []
        everyone = tasks_of(running)
        cut.borrowed += (everyone, chains)
        for task in everyone:
            if task.get_loop() is not running:
                continue
            try:
                if task is current:
                    tasks.rows.append(self._running(task, loop, cut))
                else:
                    chains.append(self._one(task, cut, tasks, reader, loop.ref, now))
            except Exception:  # it ended under our eyes, or is of a kind never met
                cut.facts.unreadable["task"] = cut.facts.unreadable.get("task", 0) + 1
        if tasks.bare and len(chains) <= MAX_TASKS_FOR_SETTERS:
            find_setters(tasks, chains)
        cut.places.adopt(self._reader.codes)
        return tasks

    def build(self, captured: Tasks, graph: Graph, seen: Seen) -> None:
        build_tasks(captured, graph, seen)

    def _running(self, task: Any, loop: AsyncioLoop, cut: Cut) -> TaskRow:
        coroutine = task.get_coro()
        ref = task_ref(task, cut)
        cut.facts.thread_task[loop.ident] = ref
        stack = running_spots(cut, loop.ident, coroutine)
        name = task.get_name()
        return TaskRow(ref, name, _title(coroutine), RUNNING, stack, loop.ref, None, None)

    def _one(
        self,
        task: Any,
        cut: Cut,
        tasks: Tasks,
        reader: WaitReader,
        loop: Ref | None,
        now: float | None,
    ) -> tuple[Ref, list[Any], Shape]:
        ref = task_ref(task, cut)
        coroutine = task.get_coro()
        chain, shape = self._reader.read(coroutine)
        if shape.withs or shape.lets_go:
            note_holdings(cut, ref, chain, shape)
        waiter = task._fut_waiter
        wait = target = target_ref = timeout = None
        if waiter is not None and not waiter.done():
            state = WAITING
            wait, target, target_ref = reader.read(ref, waiter, chain, shape)
            if now is not None and shape.withs:
                timeout = timeout_of(chain, shape, now)
        else:
            state = RUNNABLE  # woken, or not yet begun
        if shape.releases:
            note_releases(cut, ref, chain, shape, target_ref)
        if cut.on_task:
            links = links_of(chain, shape)
            for hook in cut.on_task:
                hook(ref, links, target, target_ref)
        title = coroutine.__qualname__ if type(coroutine) is Coroutine else _title(coroutine)
        spots = shape.spots or spots_of(shape, coroutine, cut)
        # ref[1][1] is the name; make() is what TaskRow() does, without its detour.
        name = ref[1][1]  # type: ignore[index]
        row = make(TaskRow, (ref, name, title, state, spots, loop, wait, timeout, None))
        tasks.rows.append(row)
        return ref, chain, shape


def all_tasks() -> list[Any]:
    """All tasks of all loops that are not done.

    Empty since 3.14, which keeps them where Python cannot see: `tasks_of` asks loop by loop.
    """
    return list(each_task())


def each_task() -> Iterator[Any]:
    """As `all_tasks`, one by one: a task that ends meanwhile is not kept alive by this."""
    if sys.version_info >= (3, 14):
        return
    module = sys.modules["asyncio.tasks"]
    scheduled = getattr(module, "_scheduled_tasks", None)
    if scheduled is None:
        scheduled = getattr(module, "_all_tasks", None)
    if scheduled is None:
        return
    for reference in list(scheduled.data):
        task = reference()
        if task is not None and not task.done():
            yield task
        del task
    yield from (task for task in list(getattr(module, "_eager_tasks", ())) if not task.done())


def tasks_of(loop: Any) -> list[Any]:
    """The tasks of one loop, and before 3.14 those of others too."""
    if sys.version_info >= (3, 14):
        return list(asyncio.all_tasks(loop))
    return all_tasks()


def _loop_of(task: Any) -> Any:
    return task.get_loop()


def _title(coroutine: Any) -> str:
    """The qualified name of a coroutine's function."""
    name = getattr(coroutine, "__qualname__", None)
    return name if type(name) is str else type_name(coroutine)
