"""What a cut found, in plain values: descriptions of resources, and what collectors say to others.

Decides how facts are kept and joined. Refuses to know the host's objects: there is no reference to
any of them here, so facts outlive the cut.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, NamedTuple

from .graph import Ref
from .resources import Shape


class Described(NamedTuple):
    """A resource of the host, told in plain values."""

    ref: Ref
    type_name: str
    attrs: Mapping[str, Any]
    wait_any: bool
    paired: bool
    """One end of a channel: the other end has the same key."""
    label: str | None


@dataclass(frozen=True, slots=True)
class Holding:
    """Somebody holds a resource."""

    holder: Ref
    how: str
    """How it was found out: "recorded" (the resource names its owner) or an inference."""
    inferred: bool = True


class ManyDescribed(NamedTuple):
    """As Described, of many instances of one class: the numbers are written side by side."""

    shape: Shape
    type_name: str
    ids: list[int]
    names: list[str]
    columns: list[list[Any]]


@dataclass(slots=True)
class Facts:
    """What collectors tell each other. Keys are `id(obj)`; values are plain.

    Filled inside the cut, read by any collector's `build`, whatever their order.
    """

    described: dict[int, Described] = field(default_factory=dict)
    many: list[ManyDescribed] = field(default_factory=list)
    """More of the same."""
    kinds: dict[int, str] = field(default_factory=dict)
    """Of those the kinds, by id."""
    holders: dict[Ref, list[Holding]] = field(default_factory=dict)
    released: set[tuple[Ref, Ref]] = field(default_factory=set)
    """(resource, holder): on its stack, but let go while it waits (a condition's lock)."""
    future_thread: dict[int, int] = field(default_factory=dict)
    """Concurrent Future -> ident of the thread that runs its work item now."""
    future_maker: dict[int, Ref] = field(default_factory=dict)
    """Concurrent Future -> the task whose end will set it (run_coroutine_threadsafe)."""
    future_executor: dict[int, Ref] = field(default_factory=dict)
    """Concurrent Future -> the executor in whose queue it waits."""
    thread_task: dict[int, Ref] = field(default_factory=dict)
    """Thread ident -> the task whose step runs on it now."""
    thread_loop: dict[int, Ref] = field(default_factory=dict)
    """Thread ident -> the event loop that it runs."""
    loop_outlook: dict[Ref, dict[str, Any]] = field(default_factory=dict)
    """Event loop -> attributes that tell what may set it in motion while it sleeps."""
    task_worker: dict[Ref, int] = field(default_factory=dict)
    """Task -> ident of the thread that does blocking work for it."""
    task_refs: dict[int, Ref] = field(default_factory=dict)
    """id(task object) -> its node, for everybody who meets a task."""
    unreadable: dict[str, int] = field(default_factory=dict)
    """How many objects of a kind vanished or were of a form never met while they were read."""
    unknown: dict[str, str] = field(default_factory=dict)
    """What could not be told in this process, and why."""

    def absorb(self, other: "Facts") -> None:
        """Take in what another part of the same cut found."""
        for name in Facts.__slots__:
            mine, theirs = getattr(self, name), getattr(other, name)
            if name == "holders":
                for ref, holdings in theirs.items():
                    mine.setdefault(ref, []).extend(holdings)
            elif name == "many":
                mine.extend(theirs)
            else:
                mine.update(theirs)

    def settle(self) -> None:
        """After the cut: learn what was described in bulk, for `ref_of`."""
        for one in self.many:
            self.kinds.update(dict.fromkeys(one.ids, one.shape.kind))

    def ref_of(self, obj_id: int) -> Ref:
        """The node of a resource that was described, by its id."""
        described = self.described.get(obj_id)
        return (self.kinds[obj_id], obj_id) if described is None else described.ref

    def each_described(self, names: Mapping[int, str]) -> Iterator[Described]:
        """All descriptions, each once. Those in bulk are made one by one: all at once, they
        would be many objects for Python to look after."""
        yield from list(self.described.values())
        for one in self.many:
            kind, wait_any = one.shape.kind, one.shape.wait_any
            rows = zip(*one.columns, strict=True) if one.columns else repeat(())
            told = set()
            for key, values in zip(one.ids, rows, strict=False):
                if key not in told and key not in self.described:
                    told.add(key)
                    attrs = dict(zip(one.names, values, strict=True))
                    ref, label = (kind, key), names.get(key)
                    yield Described(ref, one.type_name, attrs, wait_any, False, label)
