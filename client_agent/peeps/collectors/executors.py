"""Thread and process pools of concurrent.futures: who works, what waits for its turn.

Decides which future a worker thread runs now, which futures lie in an executor's queue, and when
an executor is saturated: every worker busy, work queued, and no worker to come. Refuses to know
who waits for the futures. Queues are counted, never looked into beyond the identity of futures.
"""

import gc
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

from ..cut import Cut, Seen
from ..graph import Graph, Ref
from ..statics import MISSING, class_name, has_on_class, static_get, static_path
from .frame_values import View
from .known_calls import find_code_in

MAX_QUEUED = 10_000
"""How many queued futures are told apart; the rest is only counted."""


@dataclass(slots=True)
class Executor:
    """An executor, in plain values."""

    max_workers: int | None = None
    queued: int = 0
    busy: set[Ref] = field(default_factory=set)
    idle: set[Ref] = field(default_factory=set)

    @property
    def is_saturated(self) -> bool:
        """Whether queued work waits for one of the busy workers."""
        if not self.queued or self.idle or not self.busy:
            return False
        return self.max_workers is None or len(self.busy) >= self.max_workers


class Executors:
    """The executors that the frames of worker threads tell of."""

    def __init__(self) -> None:
        self.found: dict[Ref, Executor] = {}
        self._work_item_run = find_code_in("concurrent.futures.thread", "_WorkItem.run")
        self._worker = find_code_in("concurrent.futures.thread", "_worker")
        self._manager = find_code_in("concurrent.futures.process", "_ExecutorManagerThread.run")
        self._busy: set[int] = set()

    def codes(self) -> list[CodeType]:
        """The code of the frames that are worth showing to `see`."""
        codes = (self._work_item_run, self._worker, self._manager)
        return [code for code in codes if code is not None]

    def see(self, view: View, ident: int, cut: Cut) -> None:
        """Look at one frame of a thread; frames come innermost first."""
        code = view.code
        if code is self._work_item_run:
            future = static_get(view.argument(), "future")
            if future is not MISSING:
                cut.facts.future_thread[id(future)] = ident
                self._busy.add(ident)
        elif code is self._worker:
            self._see_worker(view, ident, cut)
        elif code is self._manager:
            self._see_manager(view.argument(), cut)

    def _see_worker(self, view: View, ident: int, cut: Cut) -> None:
        reference = view.variable_or_none("executor_reference")
        executor = reference() if reference is not None else None
        queue = view.variable_or_none("work_queue")
        if executor is None or queue is None:
            return
        ref = cut.resource(executor, "executor")
        if ref is None:
            return
        known = self.found.get(ref)
        if known is None:
            known = self.found[ref] = Executor(
                _integer(static_get(executor, "_max_workers")), queue.qsize()
            )
            for item in _queued(queue):
                future = static_get(item, "future")
                if future is not MISSING:
                    cut.facts.future_executor[id(future)] = ref
        (known.busy if ident in self._busy else known.idle).add(cut.thread_ref(ident))

    def _see_manager(self, manager: Any, cut: Cut) -> None:
        """The thread that feeds a ProcessPoolExecutor's children."""
        reference = static_get(manager, "executor_reference")
        executor = None if reference is MISSING else reference()
        if executor is None:
            return
        ref = cut.resource(executor, "executor")
        pending = static_get(manager, "pending_work_items")
        if ref is None or type(pending) is not dict:
            return
        known = self.found[ref] = Executor(_integer(static_get(executor, "_max_workers")))
        known.queued = len(pending)
        for item in list(pending.values())[:MAX_QUEUED]:
            future = static_get(item, "future")
            if future is not MISSING:
                cut.facts.future_executor[id(future)] = ref
        processes = static_get(manager, "processes")
        if type(processes) is dict:
            known.busy = {("command", f"pid-{pid}") for pid in list(processes)}

    def build(self, graph: Graph, seen: Seen) -> None:
        """Executors, and what the futures that somebody waits for depend on."""
        for ref, executor in self.found.items():
            node = graph.node(
                *ref,
                queued=executor.queued,
                busy=len(executor.busy),
                idle=len(executor.idle),
                saturated=executor.is_saturated,
                wait="any",
            )
            for worker in executor.busy | executor.idle:
                graph.edge(node, graph.ref(worker), "spawned")
            if executor.is_saturated:
                for worker in executor.busy:
                    graph.edge(node, graph.ref(worker), "needs", relation="worker")
        facts = seen.facts
        for key, described in facts.described.items():
            if described.ref[0] != "future":
                continue
            node = graph.ref(described.ref)
            if key in facts.future_thread:
                thread = graph.ref(seen.thread_ref(facts.future_thread[key]))
                graph.edge(node, thread, "needs", relation="runs it")
            elif key in facts.future_executor:
                graph.edge(node, graph.ref(facts.future_executor[key]), "needs", relation="queue")
            elif key in facts.future_maker:
                maker = facts.future_maker[key]
                graph.edge(node, graph.ref(maker), "needs", relation="sets it")


def _integer(value: Any) -> int | None:
    return value if type(value) is int else None


def _queued(queue: Any) -> list[Any]:
    """The items of a queue.SimpleQueue, which offers no way to look at them but the collector's.

    Up to 3.12 they are in one list inside of it, from 3.13 on in the queue itself.
    """
    if class_name(queue) != "SimpleQueue":
        items = static_path(queue, "queue")  # a queue of an older kind, or of a patching library
        return list(items)[:MAX_QUEUED] if has_on_class(items, "__len__") else []
    found: list[Any] = []
    for inner in gc.get_referents(queue):
        if type(inner) is list:
            found.extend(inner[-MAX_QUEUED:])
        else:
            found.append(inner)
    return [item for item in found[-MAX_QUEUED:] if class_name(item) == "_WorkItem"]
