"""The cut: what collectors may ask while the process holds still, and what they note down.

Decides how an object of the host becomes a description made of plain values; the facts that
collectors leave for each other are in facts.py. Refuses to know libraries. Everything that is
noted is an integer, a string or a code object: when the cut ends, `close()` drops the
frames, and nothing of the host is referenced any more, so that no finaliser of the host ever
runs later or elsewhere because somebody looked.
"""

import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import forked_frames
from .facts import Described, Facts, Holding, ManyDescribed
from .graph import Ref
from .places import Places, Spot
from .resources import (
    Column,
    Reader,
    Shape,
    attribute_reader,
    behind_adapter,
    columns_of,
    is_adapter,
    is_shared,
    read_column,
    shape_of,
    shape_of_class,
)
from .signal_handlers import is_from_signal_handler
from .statics import static_get, type_name, type_name_of

IN_LOOP = "in_loop"
"""The loop ran the cut itself, between two of its steps: consistent."""
PARKED = "parked"
"""The loop slept in its selector; the agent's thread looked, and it still slept afterwards."""
BLOCKED = "blocked"
"""The loop is inside one step that does not end: its other tasks cannot move."""
SAMPLED = "sampled"
"""The loop was busy; the agent's thread looked while it could."""


HOLDABLE = frozenset({"lock", "semaphore"})
"""Kinds whose waiters need whoever entered them. Entering a condition means holding its lock,
and entering a task group holds nothing."""

OPENABLE = frozenset({"tx", "rx"})
"""Ends of channels: who entered one may use it, but so may others who merely know it."""


@dataclass(frozen=True, slots=True)
class ThreadRow:
    """A thread as the threading module knows it; None where it does not."""

    ident: int
    native_id: int | None = None
    name: str | None = None
    daemon: bool | None = None


TaskHook = Callable[[Ref, Sequence[tuple[Any, types.CodeType]], object, Ref | None], bool]
"""Called in the cut for tasks that are suspended: its Ref, the links of its chain (outermost
first: coroutine and code), the object it waits for and that object's Ref, or None. Whether it
wants to see more tasks in this cut that stand at the same places."""


ThreadHook = Callable[[Ref, Sequence[Any], Any], None]
"""Called in the cut for every thread: its Ref, its frames as frame_values.View (innermost
first), and its thread_waits.ThreadWait, or None."""


class Cut:
    """One look at the process. Collectors get it in `capture` and must not keep it."""

    def __init__(self, names: Mapping[int, str] | None = None) -> None:
        self.facts = Facts()
        self.places = Places()
        self.frames: dict[int, types.FrameType] = {}
        """Innermost frame by thread ident, without the agent's own; empty outside the cut."""
        self.threads: dict[int, ThreadRow] = {}
        self.loops: set[Ref] = set()
        """The event loops that run on a known thread."""
        self.inherited: set[int] = set()
        """Ids of event loops (in trio: of runners) that a forked child has from its parent and
        does not run: what they look like happens elsewhere."""
        self.on_task: list[TaskHook] = []
        """Who wants to see tasks too (sockets): appended to in a collector's `prepare`."""
        self.on_thread: list[ThreadHook] = []
        """Who wants to see threads too, likewise."""
        self.borrowed: list[Any] = []
        """References to objects of the host that a capture held: to be let go of where no
        finaliser can run that should not (LoopCut.give_back)."""
        self.names = names or {}
        """Names that the application gave to objects, by id."""
        # Classes by id: the metaclass of one may have its own idea of a hash.
        self._classes: dict[int, Known] = {}
        self._kept: list[type] = []
        self.many: dict[int, list[Any]] = {}
        """Where to put instances of these classes, any number of times, to be described at once
        instead of by `resource`."""
        self._columns: dict[int, tuple[type, Shape, tuple[Column, ...]]] = {}

    def part(self) -> "Cut":
        """A cut of its own for a loop that captures in its own thread; `absorb` it later."""
        part = Cut(self.names)
        part.loops = self.loops
        part.inherited = self.inherited
        part.on_task = self.on_task
        part.on_thread = self.on_thread
        return part

    def absorb(self, part: "Cut") -> None:
        """Take in what a part found."""
        self.facts.absorb(part.facts)
        self.places.absorb(part.places)

    def close(self) -> None:
        """Let go of everything that belongs to the host."""
        self.frames = {}
        self._classes = {}
        self._kept = []
        self.many = {}
        self._columns = {}

    def thread_ref(self, ident: int) -> Ref:
        """The node of a thread."""
        return thread_ref(ident)

    def stack_frames(self, ident: int) -> Iterator[types.FrameType]:
        """Frames of a thread, innermost first, without those that a fork left beneath it. Use
        each one and let it go."""
        return forked_frames.running_frames(self.frames.get(ident))

    def inherited_frames(self, ident: int) -> Iterator[types.FrameType]:
        """The frames that a forked child has beneath those: they are on its stack, and have not
        moved since the fork."""
        return forked_frames.inherited_frames(self.frames.get(ident))

    def place(self, code: types.CodeType, lasti: int) -> Spot:
        """Note a place in source code; `places.resolve(spot)` tells it after the cut."""
        return self.places.note(code, lasti)

    def resource(self, obj: object, kind: str | None = None) -> Ref | None:
        """Describe an object that is waited for or held; the same Ref for the same object.

        `kind` is used when its class is not in resources.SHAPES; without it such an object is
        no resource and the answer is None.
        """
        described = self.facts.described.get(id(obj))
        if described is not None:
            return described.ref
        known = self._classes.get(id(type(obj)))
        if known is None:
            obj = behind_adapter(obj)
            described = self.facts.described.get(id(obj))
            if described is not None:
                return described.ref
            known = self._learn(obj)
        shape, name, read = known
        if shape is None:
            if kind is None or obj is None:
                return None
            ref: Ref = (kind, id(obj))
            attrs = {"shared": True} if is_shared(type(obj)) else {}
            described = Described(ref, name, attrs, False, False, self.names.get(id(obj)))
        else:
            assert read is not None
            attrs = read(obj)
            ref = (shape.kind, _key_of(obj, shape, attrs))
            label = self.names.get(id(obj))
            described = Described(ref, name, attrs, shape.wait_any, shape.paired, label)
        self.facts.described[id(obj)] = described
        return ref

    def expect_many(self, cls: type) -> None:
        """Offer a list in `many` for instances of a class, if they can be described at once."""
        if id(cls) in self.many:
            return
        shape = shape_of_class(cls)
        columns = None if shape is None else columns_of(cls, shape)
        if shape is not None and columns is not None:
            self.many[id(cls)] = []
            self._columns[id(cls)] = (cls, shape, columns)

    def describe_many(self) -> None:
        """Describe what was put into the lists in `many`."""
        for key, objects in self.many.items():
            self.borrowed.append(objects)
            cls, shape, columns = self._columns[key]
            read = [(column.name, read_column(column, objects)) for column in columns]
            known = [(name, values) for name, values in read if values is not None]
            self.facts.many.append(
                ManyDescribed(
                    shape,
                    type_name_of(cls),
                    list(map(id, objects)),
                    [name for name, _ in known],
                    [values for _, values in known],
                )
            )
        self.many = {}

    def _learn(self, obj: object) -> "Known":
        """What is known of an object's class, found out once a cut."""
        cls = type(obj)
        known = self._classes.get(id(cls))
        if known is None:
            shape = shape_of(obj)
            reader = None if shape is None else attribute_reader(cls, shape)
            known = (shape, type_name(obj), reader)
            if not is_adapter(obj):  # one that has not adapted yet; the next may have
                self._classes[id(cls)] = known
                self._kept.append(cls)
        return known

    def could_not_read(self, what: str, exc: Exception) -> None:
        """Note that an object vanished or was of a form never met. Raises what is the host's."""
        if is_from_signal_handler(exc):
            raise exc
        self.facts.unreadable[what] = self.facts.unreadable.get(what, 0) + 1

    def holds(self, obj: object, holder: Ref, how: str, inferred: bool = True) -> None:
        """Note that `holder` (a task's or thread's Ref) holds `obj`, if it is a resource."""
        ref = self.resource(obj)
        if ref is not None and ref[0] in HOLDABLE | OPENABLE:
            self.facts.holders.setdefault(ref, []).append(Holding(holder, how, inferred))


Known = tuple[Shape | None, str, Reader | None]
"""Of a class: its shape if it is a resource, its name, and what reads its attributes."""


def _key_of(obj: object, shape: Shape, attrs: Mapping[str, Any]) -> int | str:
    """What tells a resource apart from others of its kind."""
    if shape.kind == "command" and "child_pid" in attrs:
        # A child process has several objects around it in one program; its pid is one.
        return f"pid-{attrs['child_pid']}"
    if shape.paired:
        return id(static_get(obj, "_state"))
    return id(obj)


def thread_ref(ident: int) -> Ref:
    """The node of the thread with that ident."""
    return ("thread", ident)


class Seen:
    """What `build` may look up, when the cut is over: facts of all collectors, and places."""

    def __init__(
        self,
        cut: Cut,
        cuts: dict[Ref, dict[str, Any]],
        apart: Mapping[Ref, float | None] | None = None,
    ) -> None:
        self.facts = cut.facts
        self.places = cut.places
        self.threads = cut.threads
        self.cuts = cuts
        """Event loop -> attributes of its cut: {"cut": kind, "atomic": bool, ...}."""
        self.apart = apart or {}
        """Event loop that took its own cut -> milliseconds between that and the look at
        threads; an edge from one to the other joins two instants."""

    def thread_ref(self, ident: int) -> Ref:
        """The node of a thread."""
        return thread_ref(ident)
