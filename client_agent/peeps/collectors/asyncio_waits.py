"""What an asyncio task waits for: from its future and the rule that matched to plain references.

Knows what asyncio keeps where: children of gather, the task inside a shield, the concurrent
future behind run_in_executor, the set given to wait. Refuses to know how tasks are found. All
of it runs inside the cut and reads plain attributes only.
"""

from collections.abc import Iterable
from types import FunctionType
from typing import Any

from ..awaitables import argument, argument_at, closure, slots
from ..cut import Cut
from ..graph import Ref
from ..rules import Rule
from ..statics import MISSING, class_module, class_name, has_on_class, static_get
from .asyncio_limits import when_of_timer
from .task_nodes import Group, Tasks, Wait
from .tasks import Shape

make = tuple.__new__  # what calling a NamedTuple does, without its detour

_GATHERING = "_GatheringFuture"
_FIRST = ("FIRST_COMPLETED", "FIRST_EXCEPTION")


def is_future(obj: Any) -> bool:
    """asyncio's own test for things that can be awaited like a Future."""
    return has_on_class(obj, "_asyncio_future_blocking")


def asyncio_task_ref(task: Any) -> Ref:
    """The node of an asyncio task."""
    return ("task", (id(task), task.get_name(), id(task.get_coro())))


def task_ref(task: Any, cut: Cut) -> Ref:
    """As asyncio_task_ref, remembered for everybody who meets the task in this cut."""
    ref = cut.facts.task_refs.get(id(task))
    if ref is None:
        ref = cut.facts.task_refs[id(task)] = asyncio_task_ref(task)
    return ref


class WaitReader:
    """Turns waits of one loop's tasks into references, noting the groups met on the way."""

    def __init__(self, cut: Cut, tasks: Tasks, now: float) -> None:
        self._cut = cut
        self._tasks = tasks
        self.now = now
        """The loop's clock."""
        self._described = cut.facts.described

    def read(
        self, task: Ref, waiter: Any, chain: list[Any], shape: Shape
    ) -> tuple[Wait, Any, Ref | None]:
        """The wait, the object waited for, and its node."""
        rule = shape.rule
        if shape.is_plain:
            position = shape.position
            target = argument_at(chain[position], shape.codes[position], shape.target)  # type: ignore[arg-type]
            if target is not None:
                kind, op = rule.kind, rule.op  # type: ignore[union-attr]
                described = self._described.get(id(target))
                if described is not None:
                    ref = described.ref
                else:
                    ref = self._cut.resource(target, kind) or self.future(waiter)
                    self._note_recorded_holders(target)
                return make(Wait, (kind, op, (ref,), None, None)), target, ref
        if rule is None:
            ref = self.future(waiter)
            return Wait("future", None, (ref,)), waiter, ref
        link, code = chain[shape.position], shape.codes[shape.position]
        target = None if shape.target is None else argument_at(link, code, shape.target)
        if target is None:
            return self._without_target(rule, waiter, link, code)
        if rule.kind == "wait":
            ref = self._wait_group(waiter, target, argument(link, code, "return_when"))
            return Wait("wait", None, (ref,)), None, ref
        if rule.kind == "wait_for":
            ref = self.future(target) if is_future(target) else self.future(waiter)
            return Wait("wait_for", None, (ref,)), target, ref
        if rule.kind == "joinset":
            ref = self._task_group(task, target)
            return Wait("joinset", None, (ref,)), target, ref
        raise LookupError(f"no such kind of wait: {rule.kind}")

    def _note_recorded_holders(self, target: Any) -> None:
        """anyio writes down who owns a lock and who borrowed from a limiter."""
        if not class_module(target).startswith("anyio."):
            return
        owner = static_get(target, "_owner_task")
        borrowers = static_get(target, "_borrowers")
        for holder in [owner, *(borrowers if type(borrowers) is set else ())]:
            if has_on_class(holder, "get_coro"):
                self._cut.holds(target, task_ref(holder, self._cut), "recorded", inferred=False)

    def _without_target(
        self, rule: Rule, waiter: Any, link: Any, code: Any
    ) -> tuple[Wait, Any, Ref | None]:
        if rule.kind == "sleep":
            when = when_of_timer(slots(link, code))
            remaining = None if when is None else max(when - self.now, 0.0)
            ref: Ref = ("sleep", id(waiter))
            self._tasks.sleeps[ref] = remaining
            return Wait("sleep", rule.op, (ref,), remaining), None, ref
        if rule.op == "anyio":  # anyio gives each call its own worker thread
            for value in slots(link, code):
                ident = static_get(value, "_ident")
                if type(ident) is int and has_on_class(value, "is_alive"):
                    ref = self._cut.thread_ref(ident)
                    return Wait("executor", None, (ref,)), None, ref
        ref = self.future(waiter)
        return Wait(rule.kind, rule.op, (ref,)), waiter, ref

    def future(self, future: Any, depth: int = 4) -> Ref:
        """The node that stands for a future: of what it depends on, if that can be told."""
        if has_on_class(future, "get_coro"):
            return task_ref(future, self._cut)
        if class_name(future) == _GATHERING:
            return self._gather(future, depth)
        for callback in _callbacks(future):
            name = callback.__qualname__ if type(callback) is FunctionType else ""
            if name == "_chain_future.<locals>._call_check_cancel":
                source = closure(callback).get("source")
                ref = self._cut.resource(source, "future")
                if ref is not None:
                    return ref
            elif name == "shield.<locals>._outer_done_callback" and depth:
                inner = closure(callback).get("inner")
                if inner is not None and is_future(inner):
                    return self.future(inner, depth - 1)
        ref = self._cut.resource(future, "future") or ("future", id(future))
        if ref[0] == "future":
            self._tasks.bare[id(future)] = ref
        return ref

    def _gather(self, future: Any, depth: int) -> Ref:
        ref: Ref = ("joinset", id(future))
        if ref not in self._tasks.groups:
            children = static_get(future, "_children")
            self._group(ref, "asyncio.gather", children, depth)
        return ref

    def _wait_group(self, waiter: Any, futures: Any, return_when: Any) -> Ref:
        ref: Ref = ("joinset", id(waiter))
        when = return_when if return_when in _FIRST else "ALL_COMPLETED"
        any_ = when == "FIRST_COMPLETED"
        self._group(ref, f"asyncio.wait({when})", futures, 4, any_)
        return ref

    def _task_group(self, task: Ref, group: Any) -> Ref:
        ref = self._cut.resource(group, "joinset") or ("joinset", id(group))
        label = f"{class_module(group).partition('.')[0]}.TaskGroup"
        self._group(ref, label, static_get(group, "_tasks"), 4, owner=task)
        return ref

    def _group(
        self,
        ref: Ref,
        label: str,
        members: Any,
        depth: int,
        any_: bool = False,
        owner: Ref | None = None,
    ) -> None:
        if ref in self._tasks.groups or not depth:
            return
        # Note it before its members, which may lead back to it.
        self._tasks.groups[ref] = Group(ref, label, (), any_, owner)
        if members is MISSING or not issubclass(type(members), list | tuple | set | frozenset):
            return
        refs = tuple(
            self.future(member, depth - 1)
            for member in list(members)
            if is_future(member) and not member.done()
        )
        self._tasks.groups[ref] = Group(ref, label, refs, any_, owner)


def find_setters(tasks: Tasks, chains: Iterable[tuple[Ref, list[Any], Shape]]) -> None:
    """Which tasks have a bare future, that somebody waits for, in a local variable.

    Whoever awaits it has it too and is left out: it waits, it does not set.
    """
    awaited = {row.ref: _reachable(row.wait.needs, tasks) for row in tasks.rows if row.wait}
    for task, chain, shape in chains:
        for link, code in zip(chain, shape.codes, strict=True):
            for value in slots(link, code):
                future = tasks.bare.get(id(value))
                if future is not None and future not in awaited.get(task, ()):
                    tasks.setters.setdefault(future, set()).add(task)


def _reachable(needs: tuple[Ref, ...], tasks: Tasks) -> set[Ref]:
    """What is waited for, directly or in a group of a group."""
    found: set[Ref] = set()
    todo = list(needs)
    while todo:
        ref = todo.pop()
        if ref not in found:
            found.add(ref)
            group = tasks.groups.get(ref)
            todo.extend(group.members if group else ())
    return found


def _callbacks(future: Any) -> list[Any]:
    """The callbacks of a future, bare. The C future builds this list for the asking."""
    found = static_get(future, "_callbacks")
    if type(found) is not list:
        return []
    return [entry[0] if type(entry) is tuple else entry for entry in found]
