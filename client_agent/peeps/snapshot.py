"""One snapshot: prepare, cut, build. The order of things, and what happens when one fails.

Decides when garbage collection is held off, when time is up, and how a failing collector is put
on record instead of failing the rest. Refuses to know libraries (collectors do) and sockets
(agent_thread does).
"""

import platform
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from . import pause, turns, unpatched
from .collectors import Collectors
from .collectors.base import Collector, LoopCollector
from .cut import OPENABLE, Cut, Seen, ThreadRow
from .facts import Described, Holding
from .graph import Graph, Limits, Ref, told_apart
from .identity import Identity, make_identity
from .loop_cuts import LoopCut, ask_turning_loops, build_loops
from .pause import no_garbage_collection
from .signal_handlers import count_handlers
from .statics import MISSING, static_get
from .turns import LongTurns, ShortTurns, SteadyTurns
from .versions import why_unsafe, why_unverified

_SWITCH_INTERVALS = (0.02, 0.05, 0.1)
"""Seconds for which the interpreter lock may be kept, look by look until one holds."""


class Snapshot:
    """Takes one snapshot. Use once; `graph` holds what came of it."""

    def __init__(
        self,
        identity: Identity,
        collectors: Collectors,
        *,
        own_threads: frozenset[int] = frozenset(),
        names: Mapping[int, str] | None = None,
        limits: Limits | None = None,
        deadline: float | None = None,
        is_cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        self.identity = identity
        self.graph = Graph(identity.origin, limits)
        self.problems: dict[str, str] = {}
        """Collector -> what went wrong in it."""
        self.captured_at_ns = 0
        self.capture_ns = 0
        self._collectors = collectors
        self._own_threads = own_threads
        self._deadline = deadline
        self._is_cancelled = is_cancelled
        self._looked_at_ns = 0
        self.graph.late_when(self._is_late)
        self._cut = Cut(names)

    def take(self) -> Graph:
        """Look at the process, now, and build the graph."""
        collectors = [] if why_unsafe() else self._collectors.applying()
        if why_unverified():
            self._cut.facts.unknown["insides"] = str(why_unverified())
        self._each(collectors, "prepare", lambda c: c.prepare(self._cut))
        try:
            with SteadyTurns():
                captured, loop_cuts = self._capture(collectors)
        finally:  # a signal handler may have thrown a loop out of its cut at any point
            pause.repair()
            turns.repair()
        with ShortTurns():
            self._build_graph(captured, loop_cuts)
        return self.graph

    def _build_graph(self, captured: dict[Collector, Any], loop_cuts: list[LoopCut]) -> None:
        cuts = {loop_cut.loop.ref: loop_cut.attributes() for loop_cut in loop_cuts}
        apart = {c.loop.ref: c.apart_ms(self._looked_at_ns) for c in loop_cuts}
        self._cut.facts.settle()
        seen = Seen(self._cut, cuts, apart)
        self._build_process(seen)
        build_loops(loop_cuts, self.graph, seen)
        for loop_cut in loop_cuts:
            if loop_cut.captured is not None:
                self._build(loop_cut.collector, loop_cut.captured, seen)
        for collector, found in captured.items():
            self._build(collector, found, seen)
        self._build_resources(seen)
        if dropped := self.graph.drop_loose_ends():
            seen.facts.unreadable["edges"] = dropped
        self._build_process(seen)

    def _build(self, collector: Collector, captured: Any, seen: Seen) -> None:
        self._each([collector], "build", lambda c: c.build(captured, self.graph, seen))

    def _capture(self, collectors: list[Collector]) -> tuple[dict[Collector, Any], list[LoopCut]]:
        self.captured_at_ns = unpatched.time_ns()
        started = unpatched.perf_counter_ns()
        loop_cuts: list[LoopCut] = []

        def find(collector: Collector) -> None:
            if hasattr(collector, "loops"):
                loops = cast(LoopCollector, collector).loops(self._cut)
                loop_cuts.extend(LoopCut(cast(LoopCollector, collector), loop) for loop in loops)

        with SteadyTurns():
            self._look(self._cut)
            self._each(collectors, "loops", find)
            self._cut.close()
        self._cut.loops = {loop_cut.loop.ref for loop_cut in loop_cuts}
        left = ask_turning_loops(loop_cuts, self._cut, self._look)
        captured = self._look_from_here(collectors, left, loop_cuts)
        self.capture_ns = unpatched.perf_counter_ns() - started
        return captured, loop_cuts

    def _look_from_here(
        self, collectors: list[Collector], left: list[LoopCut], loop_cuts: list[LoopCut]
    ) -> dict[Collector, Any]:
        """The agent's own look: at the loops that are left, and at threads.

        A look that did not hold is repeated, keeping the interpreter lock for longer. A loop that
        woke up in the middle of it turns by now, and may take its cut itself.
        """
        for attempt, switch_interval in enumerate(_SWITCH_INTERVALS):
            if attempt:
                woken = [loop_cut for loop_cut in left if loop_cut.woke_up]
                left = [loop_cut for loop_cut in left if not loop_cut.woke_up]
                left += ask_turning_loops(woken, self._cut, self._look)
            part = self._cut.part()
            captured: dict[Collector, Any] = {}
            try:
                with LongTurns(switch_interval), no_garbage_collection():
                    self._look(part)
                    for loop_cut in loop_cuts:
                        loop_cut.leave_out_step(part)
                    before = self._look_at_loops(left, part)

                    def capture(
                        collector: Collector, into: dict[Collector, Any] = captured, cut: Cut = part
                    ) -> None:
                        into[collector] = collector.capture(cut)

                    self._each(collectors, "capture", capture)
                    self._look(part)
                    held = [c.held(before[c], part) for c in left if c in before]
            finally:
                part.close()
            if all(held):
                break
        self._cut.absorb(part)
        self._cut.threads = part.threads
        return captured

    def _look_at_loops(self, loop_cuts: list[LoopCut], cut: Cut) -> dict[LoopCut, object]:
        before: dict[LoopCut, object] = {}
        for loop_cut in loop_cuts:
            try:
                before[loop_cut] = loop_cut.look(cut)
            except Exception as exc:
                loop_cut.problem = describe_error(exc)
        return before

    def _look(self, cut: Cut) -> None:
        self._looked_at_ns = unpatched.perf_counter_ns()
        look_at_threads(cut, self._own_threads)

    def _each(
        self, collectors: Iterable[Collector], step: str, action: Callable[[Collector], None]
    ) -> None:
        for collector in collectors:
            if self._is_late():
                self.graph.leave_out("out_of_time")
                self.problems.setdefault(collector.name, f"{step}: the time was up")
                continue
            try:
                action(collector)
            except Exception as exc:  # one collector's trouble is not another's
                self.problems.setdefault(collector.name, f"{step}: {describe_error(exc)}")

    def _is_late(self) -> bool:
        if self._is_cancelled():
            return True
        return self._deadline is not None and unpatched.monotonic() > self._deadline

    def problem_text(self) -> str | None:
        """What went wrong, for the reply's error; None if nothing did."""
        problems = self.problems | self._collectors.failed
        return "; ".join(f"{name}: {what}" for name, what in problems.items()) or None

    def _build_resources(self, seen: Seen) -> None:
        """Nodes of everything described in the cut, and edges to whoever holds it."""
        names = self._cut.names
        needed = {
            one.ref
            for one in seen.facts.each_described(names)
            if self.graph.is_needed(self.graph.ref(one.ref))
        }
        for one in seen.facts.each_described(names):
            holdings = _holdings_of(one.ref, seen)
            node = self.graph.node(
                *one.ref,
                label=one.label or told_apart(one.type_name, self.graph.ref(one.ref)),
                type=one.type_name,
                name=one.label,
                wait="any" if one.wait_any else None,
                incomplete=_may_have_others(one, holdings) or None,
                **one.attrs,
            )
            if one.paired and one.ref in needed:
                self._build_other_end(one, node)
            for holding in holdings:
                self._build_holding(node, holding, one.ref in needed, one.ref[0])

    def _build_holding(self, node: str, holding: Holding, needed: bool, kind: str) -> None:
        holder = self.graph.ref(holding.holder)
        how = {"inferred": holding.how} if holding.inferred else {}
        if kind in OPENABLE:
            self.graph.edge(holder, node, "touches", relation="has it open", **how)
        elif needed:
            self.graph.edge(node, holder, "needs", relation="held_by", **how)
        else:
            self.graph.edge(holder, node, "touches", relation="holds", **how)

    def _build_other_end(self, described: Described, node: str) -> None:
        """Whoever waits at one end of a channel needs the other end to be used."""
        kind, key = described.ref
        other_kind = "rx" if kind == "tx" else "tx"
        other = self.graph.id(other_kind, key)
        end = "a receiving end" if other_kind == "rx" else "a sending end"
        label = None if self.graph.has(other) else end
        self.graph.node(other_kind, key, label=label, **described.attrs)
        self.graph.edge(node, other, "needs", relation="other_end")

    def _build_process(self, seen: Seen) -> None:
        problems = self.problems | self._collectors.failed
        self.graph.node(
            "process",
            "self",
            label=self.identity.name,
            pid=self.identity.pid,
            python=platform.python_version(),
            implementation=sys.implementation.name,
            capture_ns=self.capture_ns,
            signal_handlers=count_handlers() or None,
            problems=problems or None,
            inherited_loops=len(self._cut.inherited) or None,
            unknown=seen.facts.unknown or None,
            unreadable=seen.facts.unreadable or None,
            truncated=self.graph.truncated or None,
        )


def look_at_threads(cut: Cut, own_threads: frozenset[int]) -> None:
    """Fill in the frames of all threads but the agent's own, and what threading knows of them."""
    frames = sys._current_frames()
    for ident in own_threads:
        frames.pop(ident, None)
    cut.frames = frames
    # threading.enumerate() takes a lock that a host thread may hold; a copy of the dict does not.
    known = list(getattr(threading, "_active", {}).items())
    cut.threads = {ident: ThreadRow(ident) for ident in frames}
    for ident, thread in known:
        if ident in cut.threads:
            cut.threads[ident] = ThreadRow(
                ident,
                native_id=_typed(static_get(thread, "_native_id"), int),
                name=_typed(static_get(thread, "_name"), str),
                daemon=_typed(static_get(thread, "_daemonic"), bool),
            )


def _holdings_of(ref: Ref, seen: Seen) -> list[Holding]:
    """Who holds a resource, each once. What the resource itself recorded beats inferences."""
    found: dict[Ref, Holding] = {}
    for holding in seen.facts.holders.get(ref, ()):
        if (ref, holding.holder) not in seen.facts.released:
            known = found.get(holding.holder)
            if known is None or known.inferred:
                found[holding.holder] = holding
    recorded = [holding for holding in found.values() if not holding.inferred]
    return recorded or list(found.values())


def _may_have_others(described: Described, holdings: list[Holding]) -> bool:
    """Whether somebody who was not found may end a wait for it too: a semaphore of unknown
    size, or one with more slots taken than holders found."""
    if not described.wait_any or not holdings:
        return False
    attrs = described.attrs
    total = attrs.get("total", attrs.get("max_value"))
    if total is None:
        return True
    taken = attrs["borrowed"] if "borrowed" in attrs else total - attrs.get("value", 0)
    return bool(taken > len(holdings))


def _typed(value: Any, kind: type) -> Any:
    return None if value is MISSING or not issubclass(type(value), kind) else value


def describe_error(exc: BaseException) -> str:
    """What went wrong and where, without the message: it may hold values of the host."""
    traceback = exc.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    where = f" at {traceback.tb_frame.f_code.co_name}:{traceback.tb_lineno}" if traceback else ""
    return type(exc).__name__ + where


def snapshot_dict(name: str | None = None, **options: Any) -> dict[str, Any]:
    """The graph of this process, taken by the calling thread: for tests and the curious.

    {"nodes": [{"id", "kind", "label", "attrs"}], "edges": [{"src", "dst", "kind", "attrs"}]}
    """
    snapshot = Snapshot(
        make_identity(name),
        Collectors(),
        own_threads=frozenset({unpatched.get_ident()}),
        **options,
    )
    return snapshot.take().to_dict()
