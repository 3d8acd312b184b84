"""trio's tasks, nurseries and cancel scopes.

Decides which tasks there are, in which state, what each waits for and who is known to be able to
end it: trio records the owner of a lock and the borrowers of a limiter; a semaphore's holders
are found on value stacks. Refuses to know how a runner is found and asked (trio_loops.py).
"""

import math
import sys
from typing import Any

from ..awaitables import argument_at, slots, uncell
from ..cut import Cut, Seen
from ..graph import Graph, Ref
from ..registry import trio_task_ref
from ..rules import Rulebook, find_code
from ..statics import MISSING, static_get
from .library_frames import variable
from .task_nodes import RUNNABLE, RUNNING, WAITING, Group, TaskRow, Tasks, Wait, build_tasks
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
            self._runner(runner, loop, cut, tasks)
        return tasks

    def build(self, captured: Tasks, graph: Graph, seen: Seen) -> None:
        build_tasks(captured, graph, seen)

    def _runner(self, runner: Any, loop: TrioLoop | None, cut: Cut, tasks: Tasks) -> None:
        now = clock_time(runner)
        everyone = list(runner.tasks)
        cut.borrowed.append(everyone)
        for task in everyone:
            try:
                self._one(task, loop, cut, tasks, now)
            except Exception as exc:  # it ended under our eyes, or is of a kind never met
                cut.could_not_read("task", exc)
        cut.places.adopt(self._reader.codes)

    def _one(
        self, task: Any, loop: TrioLoop | None, cut: Cut, tasks: Tasks, now: float | None
    ) -> None:
        ref = task_ref(task, cut)
        coroutine = task.coro
        self._nurseries(task, ref, cut, tasks)
        scopes, timeout = cancel_scopes(task, now)
        attrs: dict[str, Any] = {"cancel_scopes": scopes} if scopes else {}
        steps = static_get(task, "_schedule_points")
        if type(steps) is int:  # grows with each wait: the same place again is another visit
            attrs["steps"] = steps
        name = str(task.name).rpartition(".")[2] if "<locals>" in task.name else str(task.name)
        title = getattr(coroutine, "__qualname__", name)
        loop_ref = loop.ref if loop is not None else None
        if getattr(coroutine, "cr_running", False):
            stack = running_spots(cut, loop.ident if loop else None, coroutine)
            if loop is not None:
                cut.facts.thread_task[loop.ident] = ref
            tasks.rows.append(
                TaskRow(ref, name, title, RUNNING, stack, loop_ref, None, timeout, attrs)
            )
            return
        chain, shape = self._reader.read(coroutine)
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
        show_task(cut, ref, links_of(chain, shape), target, target_ref)
        spots = spots_of(shape, coroutine, cut)
        tasks.rows.append(TaskRow(ref, name, title, state, spots, loop_ref, wait, timeout, attrs))

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
        if owner is not MISSING and hasattr(owner, "coro"):
            cut.holds(target, task_ref(owner, cut), "recorded", inferred=False)
        borrowers = static_get(target, "_borrowers")
        if type(borrowers) is set:
            for borrower in list(borrowers):
                if hasattr(type(borrower), "coro") or hasattr(borrower, "_counter"):
                    cut.holds(target, task_ref(borrower, cut), "recorded", inferred=False)

    def _note_worker_token(self, ref: Ref, chain: list[Any], shape: Shape, cut: Cut) -> None:
        """A call in a worker thread borrows from the limiter in a placeholder's name."""
        code = find_code(sys.modules["trio._threads"], "to_thread_run_sync")
        for link, link_code in zip(chain, shape.codes, strict=True):
            if link_code is not code:
                continue
            values = [uncell(value) for value in slots(link, link_code)]
            for limiter in values:
                borrowers = static_get(limiter, "_borrowers")
                if type(borrowers) is set and any(
                    type(value).__name__ == "ThreadPlaceholder" and value in borrowers
                    for value in values
                ):
                    cut.holds(limiter, ref, "its worker thread borrowed a token")


def note_call_from_thread(ref: Ref, chain: list[Any], shape: Shape, cut: Cut, tasks: Tasks) -> None:
    """A thread that called from_thread.run waits at a queue for this task to put the result."""
    for link, code in zip(chain, shape.codes, strict=True):
        if code.co_qualname in ("Run.run", "Run.run_system") and code.co_argcount:
            queue = static_get(argument_at(link, code, 0), "queue")
            found = cut.resource(queue) if queue is not MISSING else None
            if found is not None:
                tasks.answers[found] = ref


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


def cancel_scopes(task: Any, now: float | None) -> tuple[list[dict[str, Any]], float | None]:
    """The scopes around a task, innermost first, as far as they say anything; and the seconds
    until the nearest deadline that reaches it."""
    told: list[dict[str, Any]] = []
    nearest: float | None = None
    shielded = False
    status = static_get(task, "_cancel_status")
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
