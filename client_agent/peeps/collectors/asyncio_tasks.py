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

from ..awaitables import CODE_AT, Coroutine, referents
from ..cut import Cut, Seen
from ..graph import Graph, Ref
from ..rules import Rulebook
from ..statics import type_name
from .asyncio_limits import limit_of, limits_by_anyio
from .asyncio_loops import AsyncioLoop, current_task, known_tasks, running_loops
from .asyncio_waits import WaitReader, find_setters, task_ref
from .loop_outlook import outlook_of_asyncio
from .task_nodes import RUNNABLE, RUNNING, WAITING, TaskRow, Tasks, Wait, build_tasks
from .tasks import (
    ChainReader,
    Shape,
    links_of,
    note_holdings,
    note_releases,
    running_spots,
    show_task,
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
        return running_loops(cut, loops_of_tasks())

    def capture(self, cut: Cut) -> Tasks:
        """The tasks whose loop does not run, or not on a thread that is known. Copies of the
        parent's tasks, in a forked child, are not: nothing will ever step them here."""
        tasks = Tasks()
        known = {key for kind, key in cut.loops} | cut.inherited
        for task in [task for task in all_tasks() if id(task.get_loop()) not in known]:
            reader = WaitReader(cut, tasks, asyncio.BaseEventLoop.time(task.get_loop()))
            chain, shape = self._reader.read(task.get_coro())
            self._one(task, chain, shape, task._fut_waiter, cut, tasks, reader)
        cut.places.adopt(self._reader.codes)
        return tasks

    def capture_loop(self, loop: AsyncioLoop, cut: Cut) -> Tasks:
        tasks = Tasks(loop=loop.ref)
        running = loop.loop
        if running is None:
            return tasks
        cut.facts.loop_outlook[loop.ref] = outlook_of_asyncio(running, loop.due_in())
        now = loop.time()
        reader = WaitReader(cut, tasks, now)
        everyone = tasks_of(running)
        cut.borrowed.append(everyone)
        tasks.limits = limits_by_anyio(now)
        self._sweep(everyone, loop, cut, tasks, reader)
        cut.describe_many()
        if tasks.bare and len(everyone) <= MAX_TASKS_FOR_SETTERS:
            find_setters(tasks, self._chains(everyone, running, cut))
        cut.places.adopt(self._reader.codes)
        return tasks

    def _sweep(
        self, everyone: list[Any], loop: AsyncioLoop, cut: Cut, tasks: Tasks, reader: WaitReader
    ) -> None:
        """The tasks of one loop. Most wait for a plain thing and stand where others stand: they
        are merely noted, and made sense of after the cut."""
        running = loop.loop
        current = current_task(running)
        read, dull, many, note = self._reader.read, tasks.dull, cut.many, tasks.notes.extend
        limits = tasks.limits
        for task in everyone:
            if task.get_loop() is not running:
                continue
            try:
                if task is current:
                    tasks.rows.append(self._running(task, loop, cut))
                    continue
                coroutine = task.get_coro()
                chain, shape = read(coroutine)
                waiter = task._fut_waiter
                has_limit = limits and id(task) in limits
                if shape in dull and waiter is not None and not has_limit and not waiter.done():
                    found = referents(chain[shape.position])
                    target = found[shape.target_at] if found[CODE_AT] is shape.code else None
                    kind = id(type(target))
                    if kind in many:
                        many[kind].append(target)
                        title = coroutine.__qualname__
                        note((shape, id(task), task.get_name(), id(coroutine), title, id(target)))
                        continue
                self._one(task, chain, shape, waiter, cut, tasks, reader)
            except Exception as exc:  # it ended under our eyes, or is of a kind never met
                cut.could_not_read("task", exc)

    def _chains(
        self, everyone: list[Any], running: Any, cut: Cut
    ) -> Iterator[tuple[Ref, list[Any], Shape]]:
        """All chains once more: they are not kept, since few cuts need them."""
        current = current_task(running)
        for task in everyone:
            if task is not current and task.get_loop() is running:
                yield task_ref(task, cut), *self._reader.read(task.get_coro())

    def build(self, captured: Tasks, graph: Graph, seen: Seen) -> None:
        build_tasks(captured, graph, seen, _rows_of_notes(captured, seen))

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
        chain: list[Any],
        shape: Shape,
        waiter: Any,
        cut: Cut,
        tasks: Tasks,
        reader: WaitReader,
    ) -> None:
        coroutine = task.get_coro()
        ref = task_ref(task, cut)
        if shape.withs or shape.lets_go:
            note_holdings(cut, ref, chain, shape)
        wait = target = target_ref = timeout = None
        if waiter is not None and not waiter.done():
            state = WAITING
            wait, target, target_ref = reader.read(ref, waiter, chain, shape)
            limits = (limit_of(chain, shape, reader.now), tasks.limits.get(id(task)))
            timeout = min((limit for limit in limits if limit is not None), default=None)
        else:
            state = RUNNABLE  # woken, or not yet begun
        if shape.releases:
            note_releases(cut, ref, chain, shape, target_ref)
        wanted = show_task(cut, ref, links_of(chain, shape), target, target_ref)
        if shape.is_plain and shape.holds_nothing and not wanted:
            tasks.dull.add(shape)
            cut.expect_many(type(target))
        title = coroutine.__qualname__ if type(coroutine) is Coroutine else _title(coroutine)
        spots = shape.spots or spots_of(shape, coroutine, cut)
        # ref[1][1] is the name; make() is what TaskRow() does, without its detour.
        name = ref[1][1]  # type: ignore[index]
        row = make(TaskRow, (ref, name, title, state, spots, tasks.loop, wait, timeout, None))
        tasks.rows.append(row)


def _rows_of_notes(tasks: Tasks, seen: Seen) -> Iterator[TaskRow]:
    """What was merely noted in the cut, as rows."""
    ref_of, notes = seen.facts.ref_of, iter(tasks.notes)
    for shape, task, name, coroutine, title, target in zip(*[notes] * 6, strict=True):
        wait = Wait(shape.rule.kind, shape.rule.op, (ref_of(target),))
        ref: Ref = ("task", (task, name, coroutine))
        yield TaskRow(ref, name, title, WAITING, shape.spots, tasks.loop, wait, None)


def all_tasks() -> list[Any]:
    """All tasks of all loops that are not done.

    Empty since 3.14, which keeps them where Python cannot see: `tasks_of` asks loop by loop.
    """
    if sys.version_info >= (3, 14):
        return []
    found = [
        task
        for reference in known_tasks()
        for task in (reference(),)
        if task is not None and not task.done()
    ]
    return found + [task for task in eager_tasks() if not task.done()]


def eager_tasks() -> list[Any]:
    """Tasks in their first step, from 3.12 on."""
    return list(getattr(sys.modules["asyncio.tasks"], "_eager_tasks", ()))


def loops_of_tasks() -> dict[int, Any]:
    """The loops of all tasks that are not done, by id. No task is kept alive by this."""
    if sys.version_info >= (3, 14):
        return {}
    found = {
        id(loop): loop
        for reference in known_tasks()
        for task in (reference(),)
        if task is not None and not task.done()
        for loop in (task.get_loop(),)
    }
    for task in eager_tasks():
        found[id(task.get_loop())] = task.get_loop()
    return found


def tasks_of(loop: Any) -> list[Any]:
    """The tasks of one loop, and before 3.14 those of others too."""
    if sys.version_info >= (3, 14):
        return list(asyncio.all_tasks(loop))
    return all_tasks()


def _title(coroutine: Any) -> str:
    """The qualified name of a coroutine's function."""
    name = getattr(coroutine, "__qualname__", None)
    return name if type(name) is str else type_name(coroutine)
