"""What reading asyncio's and trio's tasks has in common: chains, stacks, what they hold.

Decides how a suspended task's chain of coroutines is read inside the cut. Refuses to know where
tasks come from, what a library's objects mean, and nodes (task_nodes.py).
"""

import dis
import types
from dataclasses import dataclass
from typing import Any

from ..awaitables import (
    CODE_AT,
    AsyncGenerator,
    Coroutine,
    Generator,
    Link,
    argument,
    argument_index,
    entered,
    walk,
)
from ..cut import Cut
from ..graph import Ref
from ..places import Spot
from ..rules import Rule, Rulebook
from ..statics import class_name
from .code_analysis import analyse
from .frame_values import BY_FINALLY, View, prepare
from .holdings import resources_of
from .instruction_pointers import Pointers, known_pointers

_WITH_OPCODES = frozenset(
    dis.opmap[name]
    for name in ("BEFORE_WITH", "BEFORE_ASYNC_WITH", "LOAD_SPECIAL")
    if name in dis.opmap
)


_GROUPS = frozenset({"wait", "wait_for", "joinset", "sleep", "executor"})
"""Kinds of wait whose argument leads to what is waited for, rather than being it."""


@dataclass(slots=True, eq=False)
class Shape:
    """What all chains that stand at the same places have in common; found once."""

    rule: Rule | None
    position: int
    """Index of the link that the rule is about."""
    target: int | None
    """Which argument of that link is waited for, by slot."""
    is_plain: bool
    """Whether that argument, as it stands, is what is waited for."""
    holds_nothing: bool
    """Whether nobody who stands there can have entered or acquired anything."""
    code: types.CodeType | None
    """That link's code."""
    target_at: int
    """Where the argument is among the referents of that link, if it has no frame object."""
    codes: tuple[types.CodeType, ...]
    names: frozenset[str]
    """Qualified names of those codes."""
    spots: tuple[Spot, ...]
    withs: tuple[int, ...]
    """Indices of links that may have entered context managers."""
    releases: tuple[int, ...]
    """Indices of links inside a `try` whose `finally` releases something."""
    lets_go: tuple[int, ...]
    """Indices of links that released the lock they entered, until they are woken."""


class ChainReader:
    """Reads chains in one cut. Kept between cuts for what it learnt about code objects."""

    MAX_SHAPES = 4096

    def __init__(self, book: Rulebook) -> None:
        self.book = book
        self._shapes: dict[tuple[int, ...], Shape] = {}
        # What is in a key stays true only while the code objects live.
        self.codes: dict[int, types.CodeType] = {}
        self._pointers: Pointers | None = None
        self._end: type | None = None
        """The type of what stands at the end of nearly every chain of asyncio: FutureIter."""

    def load(self, cut: Cut) -> None:
        """Before a cut: take in libraries imported since; forget when there is too much."""
        why_not = prepare()
        if why_not is not None:
            cut.facts.unknown["value_stack"] = why_not
        pointers = known_pointers()
        changed = self.book.load() or pointers is not self._pointers
        self._pointers = pointers
        if changed or len(self._shapes) > self.MAX_SHAPES:
            self._shapes.clear()
            self.codes.clear()

    def read(self, root: Any) -> tuple[list[Any], Shape]:
        """The chain below a suspended coroutine (outermost first), and what its places mean.

        The caller hands `codes` to the cut's places when it is through.
        """
        if self._pointers is None:
            return self._read_by_frames(root)
        words, at, _ = self._pointers
        chain: list[Any] = []
        key: list[int] = []
        current = root
        # The common case, coroutine in coroutine, without a call: see awaitables.walk, which
        # has the same rule (nothing between the test and the reading of cr_await).
        while type(current) is Coroutine:
            if not current.cr_suspended:
                current = None
                break
            inner = current.cr_await
            chain.append(current)
            key.append(words[(id(current) >> 3) + at])
            current = inner
        if type(current) is Generator:  # as all chains of trio end, by the same rule
            if not current.gi_suspended:
                inner = None
            else:
                inner = current.gi_yieldfrom
                chain.append(current)
                key.append(words[(id(current) >> 3) + at])
            current = inner
        if current is not None and type(current) is not self._end:
            if class_name(current) == "FutureIter":
                self._end = type(current)
            for link, _ in walk(current):
                chain.append(link)
                key.append(words[(id(link) >> 3) + at])
        found = tuple(key)
        shape = self._shapes.get(found)
        if shape is None:
            lasti = self._pointers.lasti
            places = [
                (code := code_of(link), lasti(pointer, code))
                for link, pointer in zip(chain, found, strict=True)
            ]
            shape = self._shapes[found] = self._analyse(places)
        return chain, shape

    def _read_by_frames(self, root: Any) -> tuple[list[Any], Shape]:
        """As `read`, where memory is not read: each link gets a frame object."""
        links = walk(root)
        places = [(code, last_instruction(link)) for link, code in links]
        found = tuple(number for code, lasti in places for number in (id(code), lasti))
        shape = self._shapes.get(found)
        if shape is None:
            shape = self._shapes[found] = self._analyse(places)
        return [link for link, _ in links], shape

    def _analyse(self, places: list[tuple[types.CodeType, int]]) -> Shape:
        codes = tuple(code for code, _ in places)
        self.codes.update((id(code), code) for code in codes)
        code_ids = [id(code) for code in codes]
        match = self.book.match(code_ids)
        rules = [self.book.get(code_id) for code_id in code_ids]
        target = None
        if match is not None and match[0].target is not None:
            name = None if match[0].target == "self" else match[0].target
            target = argument_index(codes[match[1]], name)
        is_plain = target is not None and match is not None and match[0].kind not in _GROUPS
        withs = tuple(i for i, code in enumerate(codes) if has_with(code))
        releases = tuple(
            i
            for i, (code, lasti) in enumerate(places)
            if releases_at(code, lasti) and self.book.get(id(code)) is None
        )
        lets_go = tuple(i for i, rule in enumerate(rules) if rule and rule.kind == "condition")
        return Shape(
            rule=match[0] if match else None,
            position=match[1] if match else -1,
            target=target,
            is_plain=is_plain,
            holds_nothing=not (withs or releases or lets_go),
            code=codes[match[1]] if match else None,
            target_at=CODE_AT + 1 + (target or 0),
            codes=codes,
            names=frozenset(code.co_qualname for code in codes),
            spots=tuple((id(code), lasti) for code, lasti in places),
            withs=withs,
            releases=releases,
            lets_go=lets_go,
        )


def last_instruction(link: Any) -> int:
    """Offset of the instruction at which a suspended link stands; -1 if it has no frame."""
    frame = frame_of(link)
    return -1 if frame is None else frame.f_lasti


def code_of(link: Any) -> types.CodeType:
    """The code of a coroutine, generator or async generator."""
    kind = type(link)
    if kind is Coroutine:
        return link.cr_code  # type: ignore[no-any-return]
    if kind is AsyncGenerator:
        return link.ag_code  # type: ignore[no-any-return]
    return link.gi_code  # type: ignore[no-any-return]


def links_of(chain: list[Any], shape: Shape) -> list[Link]:
    """A chain as its hooks get it: (coroutine, code), outermost first."""
    return list(zip(chain, shape.codes, strict=True))


def show_task(
    cut: Cut, ref: Ref, links: list[Link], target: object, target_ref: Ref | None
) -> bool:
    """Show a task to those who want to see tasks too; whether any of them wants to see more
    that stand at the same places."""
    wanted = False
    for hook in cut.on_task:
        wanted |= hook(ref, links, target, target_ref)
    return wanted


def frame_of(link: Any) -> types.FrameType | None:
    """The frame of a coroutine, generator or async generator."""
    kind = type(link)
    if kind is Coroutine:
        return link.cr_frame  # type: ignore[no-any-return]
    if kind is AsyncGenerator:
        return link.ag_frame  # type: ignore[no-any-return]
    return link.gi_frame  # type: ignore[no-any-return]


def has_with(code: types.CodeType) -> bool:
    """Whether a function contains a `with` or `async with` at all."""
    return any(opcode in _WITH_OPCODES for opcode in code.co_code[::2])


def releases_at(code: types.CodeType, lasti: int) -> bool:
    """Whether an active `finally` at that instruction calls `.release()` on something."""
    if "release" not in code.co_names or not code.co_exceptiontable:
        return False
    return bool(analyse(code).active(code, lasti).releases)


def note_releases(
    cut: Cut, task: Ref, chain: list[Any], shape: Shape, waits_for: Ref | None
) -> None:
    """Note what a suspended task took by `acquire()` and a `finally` will release.

    The `try` may stand around the acquire as well as behind it: what the task still waits for
    is not held.
    """
    for index in shape.releases:
        frame = frame_of(chain[index])
        if frame is None:
            continue
        for held in View(frame).held():
            if held.how == BY_FINALLY:
                ref = cut.resource(held.value)
                if ref is not None and ref != waits_for:
                    cut.holds(held.value, task, "a finally block will release it")


def note_holdings(cut: Cut, task: Ref, chain: list[Any], shape: Shape) -> None:
    """Note what a suspended task holds: the context managers that it entered and did not leave."""
    for index in shape.withs:
        managers = list(entered(chain[index], shape.codes[index]))
        if managers and _is_entering(chain, shape, index + 1, managers[-1]):
            managers.pop()
        for manager in managers:
            for resource in resources_of(manager):
                cut.holds(resource, task, "context manager entered on its stack")
    for index in shape.lets_go:
        condition = argument(chain[index], shape.codes[index])
        for resource in resources_of(condition):
            ref = cut.resource(resource)
            if ref is not None:
                cut.facts.released.add((ref, task))


def _is_entering(chain: list[Any], shape: Shape, index: int, manager: Any) -> bool:
    """Whether the link at `index` is `manager.__aenter__`, still awaited: not held yet."""
    if index >= len(chain) or shape.codes[index].co_name != "__aenter__":
        return False
    return argument(chain[index], shape.codes[index]) is manager


def spots_of(shape: Shape, root: Any, cut: Cut) -> tuple[Spot, ...]:
    """The stack of a task that is not running; a coroutine not begun stands at its first line."""
    if shape.spots:
        return shape.spots
    code = getattr(root, "cr_code", None) or getattr(root, "gi_code", None)
    return (cut.place(code, -1),) if code is not None else ()


def running_spots(cut: Cut, ident: int | None, root: Any) -> tuple[Spot, ...]:
    """The stack of a task whose step runs on a thread: that thread's frames from its own on."""
    if ident is None:
        return ()
    spots: list[Spot] = []
    code = getattr(root, "cr_code", None) or getattr(root, "gi_code", None)
    for frame in cut.stack_frames(ident):
        spots.append(cut.place(frame.f_code, frame.f_lasti))
        if frame.f_code is code:
            spots.reverse()
            return tuple(spots)
    return ()
