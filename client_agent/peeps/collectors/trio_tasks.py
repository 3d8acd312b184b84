"""trio's tasks, nurseries and cancel scopes.

Decides which tasks there are, in which state, what each waits for and who is known to be able to
end it: trio records the owner of a lock and the borrowers of a limiter; a semaphore's holders
are found on value stacks. Refuses to know how a runner is found and asked (trio_loops.py).
"""

import math
import sys
from collections.abc import Iterator
from typing import Any

from ..awaitables import CODE_AT, argument_at, referents, slots, uncell
from ..cut import Cut, Seen
from ..graph import Graph, Ref
from ..places import Spot
from ..registry import trio_task_ref
from ..rules import Rulebook, find_code
from ..statics import MISSING, class_name, static_get
from .library_frames import variable
from .loop_outlook import outlook_of_trio
from .task_nodes import RUNNABLE, RUNNING, WAITING, Group, Scopes, TaskRow, Tasks, Wait, build_tasks
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
from .trio_loops import TrioLoop, clock_time, running_runners

_TO_THREAD = "to_thread_run_sync"
_FROM_THREAD = frozenset(("Run.run", "Run.run_system"))
_SPECIAL = _FROM_THREAD | {_TO_THREAD}
"""Functions in whose frames there is more to see than what the task waits for."""


def collector() -> "TrioTasks":
    return TrioTasks()


class TrioTasks:
    """The LoopCollector of trio."""

    name = "trio_tasks"

    def __init__(self) -> None:
        self._reader = ChainReader(Rulebook())
        self._workers: dict[int, int] = {}
        """id(task) -> ident of the thread that works for it, in this snapshot."""

    def applies(self) -> bool:
        return "trio._core._run" in sys.modules

    def prepare(self, cut: Cut) -> None:
        self._reader.load(cut)

    def loops(self, cut: Cut) -> list[TrioLoop]:
        self._workers = worker_threads(cut)
        return running_runners(cut)[0]

    def capture(self, cut: Cut) -> Tasks:
        """The tasks of runners that another loop drives (guest mode)."""
        tasks = Tasks()
        self._workers = worker_threads(cut)
        for runner in running_runners(cut)[1]:
            self._runner(runner, None, cut, tasks)
        return tasks

    def capture_loop(self, loop: TrioLoop, cut: Cut) -> Tasks:
        tasks = Tasks()
        runner = loop.runner
        if runner is not None:
            cut.facts.loop_outlook[loop.ref] = outlook_of_trio(runner, loop.due_in())
            self._runner(runner, loop, cut, tasks)
        return tasks

    def build(self, captured: Tasks, graph: Graph, seen: Seen) -> None:
        build_tasks(captured, graph, seen, _rows_of_notes(captured, seen))

    def _runner(self, runner: Any, loop: TrioLoop | None, cut: Cut, tasks: Tasks) -> None:
        now = clock_time(runner)
        everyone = list(runner.tasks)
        cut.borrowed.append(everyone)
        tasks.loop = None if loop is None else loop.ref
        self._sweep(everyone, loop, cut, tasks, now)
        cut.describe_many()
        cut.places.adopt(self._reader.codes)

    def _sweep(
        self, everyone: list[Any], loop: TrioLoop | None, cut: Cut, tasks: Tasks, now: float | None
    ) -> None:
        """The tasks of one runner. Most wait for a plain thing and stand where others stand:
        they are merely noted, and made sense of after the cut."""
        read, dull, many, note = self._reader.read, tasks.dull, cut.many, tasks.notes.extend
        for task in everyone:
            try:
                status = task._cancel_status
                if id(status) not in tasks.scopes:  # children of a nursery have one in common
                    tasks.scopes[id(status)] = cancel_scopes(status, now)
                coroutine = task.coro
                if getattr(coroutine, "cr_running", False):
                    self._running(task, loop, cut, tasks)
                    continue
                chain, shape = read(coroutine)
                if shape in dull and task._next_send_fn is None and not task._child_nurseries:
                    found = referents(chain[shape.position])
                    # trio's waits share theirs with a function inside: it lies in a cell
                    target = (
                        uncell(found[shape.target_at]) if found[CODE_AT] is shape.code else None
                    )
                    kind = id(type(target))
                    if kind in many:
                        many[kind].append(target)
                        steps = getattr(task, "_schedule_points", None)
                        note((shape, id(task), task._counter, id(coroutine), task.name))
                        note((coroutine.__qualname__, id(target), steps, id(status)))
                        continue
                self._one(task, chain, shape, cut, tasks, now)
            except Exception as exc:  # it ended under our eyes, or is of a kind never met
                cut.could_not_read("task", exc)

    def _running(self, task: Any, loop: TrioLoop | None, cut: Cut, tasks: Tasks) -> None:
        ref = task_ref(task, cut)
        self._nurseries(task, ref, cut, tasks)
        stack = running_spots(cut, loop.ident if loop else None, task.coro)
        if loop is not None:
            cut.facts.thread_task[loop.ident] = ref
        tasks.rows.append(_row(task, ref, RUNNING, stack, None, tasks))

    def _one(
        self,
        task: Any,
        chain: list[Any],
        shape: Shape,
        cut: Cut,
        tasks: Tasks,
        now: float | None,
    ) -> None:
        ref = task_ref(task, cut)
        self._nurseries(task, ref, cut, tasks)
        note_holdings(cut, ref, chain, shape)
        self._note_worker_token(ref, chain, shape, cut)
        note_call_from_thread(ref, chain, shape, cut, tasks)
        wait = target = target_ref = None
        if static_get(task, "_next_send_fn") is not None:
            state = RUNNABLE
        else:
            state = WAITING
            wait, target, target_ref = self._wait(task, ref, chain, shape, cut, tasks, now)
        if shape.releases:
            note_releases(cut, ref, chain, shape, target_ref)
        wanted = show_task(cut, ref, links_of(chain, shape), target, target_ref)
        is_special = shape.names & _SPECIAL
        if shape.is_plain and shape.holds_nothing and not wanted and not is_special:
            tasks.dull.add(shape)
            cut.expect_many(type(target))
        spots = spots_of(shape, task.coro, cut)
        tasks.rows.append(_row(task, ref, state, spots, wait, tasks))

    def _nurseries(self, task: Any, ref: Ref, cut: Cut, tasks: Tasks) -> None:
        for nursery in list(task._child_nurseries):
            group = cut.resource(nursery, "joinset")
            if group is not None:
                children = tuple(task_ref(child, cut) for child in list(nursery._children))
                tasks.groups[group] = Group(group, "trio.Nursery", children, owner=ref)

    def _wait(
        self,
        task: Any,
        ref: Ref,
        chain: list[Any],
        shape: Shape,
        cut: Cut,
        tasks: Tasks,
        now: float | None,
    ) -> tuple[Wait | None, Any, Ref | None]:
        rule = shape.rule
        if rule is None:
            return None, None, None
        link, code = chain[shape.position], shape.codes[shape.position]
        target = None if shape.target is None else argument_at(link, code, shape.target)
        if rule.kind == "sleep":
            remaining = _until(target, now) if rule.target else None
            sleep: Ref = ("sleep", f"{id(task):x}")
            tasks.sleeps[sleep] = remaining
            return Wait("sleep", rule.op, (sleep,), remaining), None, sleep
        if rule.kind == "executor":
            ident = self._workers.get(id(task))
            if ident is None:
                return Wait("executor", rule.op, ()), None, None
            thread = cut.thread_ref(ident)
            cut.facts.task_worker[ref] = ident
            return Wait("executor", rule.op, (thread,)), None, thread
        if rule.kind == "net_readable" and type(target) is int:
            found: Ref | None = ("net_readable", f"fd-{target}")
            tasks.files[("net_readable", f"fd-{target}")] = target
        else:
            found = cut.resource(target, rule.kind)
        if found is None:
            return Wait(rule.kind, rule.op, ()), target, None
        self._note_recorded_holders(target, cut)
        return Wait(rule.kind, rule.op, (found,)), target, found

    @staticmethod
    def _note_recorded_holders(target: Any, cut: Cut) -> None:
        owner = static_get(target, "_owner")
        if owner is not MISSING and static_get(owner, "coro") is not MISSING:
            cut.holds(target, task_ref(owner, cut), "recorded", inferred=False)
        borrowers = static_get(target, "_borrowers")
        if type(borrowers) is set:
            for borrower in list(borrowers):
                if static_get(borrower, "coro") is not MISSING:
                    cut.holds(target, task_ref(borrower, cut), "recorded", inferred=False)

    def _note_worker_token(self, ref: Ref, chain: list[Any], shape: Shape, cut: Cut) -> None:
        """A call in a worker thread borrows from the limiter in a placeholder's name."""
        if _TO_THREAD not in shape.names:
            return
        code = find_code(sys.modules["trio._threads"], _TO_THREAD)
        for link, link_code in zip(chain, shape.codes, strict=True):
            if link_code is not code:
                continue
            values = [uncell(value) for value in slots(link, link_code)]
            for limiter in values:
                borrowers = static_get(limiter, "_borrowers")
                if type(borrowers) is set and any(
                    class_name(value) == "ThreadPlaceholder" and value in borrowers
                    for value in values
                ):
                    cut.holds(limiter, ref, "its worker thread borrowed a token")


def note_call_from_thread(ref: Ref, chain: list[Any], shape: Shape, cut: Cut, tasks: Tasks) -> None:
    """A thread that called from_thread.run waits at a queue for this task to put the result."""
    if not shape.names & _FROM_THREAD:
        return
    for link, code in zip(chain, shape.codes, strict=True):
        if code.co_qualname in _FROM_THREAD and code.co_argcount:
            queue = static_get(argument_at(link, code, 0), "queue")
            found = cut.resource(queue) if queue is not MISSING else None
            if found is not None:
                tasks.answers[found] = ref


def _row(
    task: Any, ref: Ref, state: str, stack: tuple[Spot, ...], wait: Wait | None, tasks: Tasks
) -> TaskRow:
    name = _name(task.name)
    title = getattr(task.coro, "__qualname__", name)
    scopes, timeout = tasks.scopes[id(task._cancel_status)]
    attrs = _attributes(scopes, getattr(task, "_schedule_points", None))
    return TaskRow(ref, name, title, state, stack, tasks.loop, wait, timeout, attrs)


def _rows_of_notes(tasks: Tasks, seen: Seen) -> Iterator[TaskRow]:
    """What was merely noted in the cut, as rows."""
    ref_of, notes = seen.facts.ref_of, iter(tasks.notes)
    for shape, task, counter, coroutine, name, title, target, steps, status in zip(
        *[notes] * 9, strict=True
    ):
        wait = Wait(shape.rule.kind, shape.rule.op, (ref_of(target),))
        ref: Ref = ("task", (task, f"Task-t{counter}", coroutine))
        scopes, timeout = tasks.scopes[status]
        attrs = _attributes(scopes, steps)
        yield TaskRow(
            ref, _name(name), title, WAITING, shape.spots, tasks.loop, wait, timeout, attrs
        )


def _name(name: str) -> str:
    return name.rpartition(".")[2] if "<locals>" in name else name


def _attributes(scopes: list[dict[str, Any]], steps: Any) -> dict[str, Any]:
    """`steps` grows with each wait: the same place again is another visit."""
    attrs: dict[str, Any] = {"cancel_scopes": scopes} if scopes else {}
    if type(steps) is int:
        attrs["steps"] = steps
    return attrs


def task_ref(task: Any, cut: Cut) -> Ref:
    """The node of a trio task, remembered for everybody who meets it in this cut."""
    ref = cut.facts.task_refs.get(id(task))
    if ref is None:
        ref = cut.facts.task_refs[id(task)] = trio_task_ref(task)
    return ref


def worker_threads(cut: Cut) -> dict[int, int]:
    """id(task) -> ident of the worker thread that runs a function for it."""
    module = sys.modules.get("trio._threads")
    outer = find_code(module, "to_thread_run_sync") if module else None
    if outer is None:
        return {}
    codes = {id(c) for c in outer.co_consts if getattr(c, "co_name", "") == "worker_fn"}
    found: dict[int, int] = {}
    for ident in list(cut.frames):
        for frame in cut.stack_frames(ident):
            if id(frame.f_code) in codes:
                register = variable(frame, "task_register")
                if type(register) is list and register and register[0] is not None:
                    found[id(register[0])] = ident
                break
    return found


def cancel_scopes(status: Any, now: float | None) -> Scopes:
    """The scopes around a task, from its cancel status outwards, innermost first, as far as they
    say anything; and the seconds until the nearest deadline that reaches it."""
    told: list[dict[str, Any]] = []
    nearest: float | None = None
    shielded = False
    for _ in range(100):
        if status is None or status is MISSING:
            break
        scope = static_get(status, "_scope")
        deadline = static_get(scope, "_deadline")
        remaining = _until(deadline, now)
        shield = static_get(scope, "_shield") is True
        cancelled = static_get(scope, "_cancel_called") is True
        if remaining is not None and not shielded:
            nearest = remaining if nearest is None else min(nearest, remaining)
        if remaining is not None or shield or cancelled:
            told.append(
                {
                    "remaining_s": None if remaining is None else round(remaining, 3),
                    "shield": shield,
                    "cancel_called": cancelled,
                }
            )
        shielded = shielded or shield
        status = static_get(status, "_parent")
    return told, nearest


def _until(deadline: Any, now: float | None) -> float | None:
    if type(deadline) is not float or now is None or math.isinf(deadline):
        return None
    return max(deadline - now, 0.0)
