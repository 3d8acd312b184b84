"""Which locks a thread holds: by `with`, by a `finally` that will release them, behind managers.

Decides what having entered a context manager means, and whether the manager is a lock at all.
Refuses to know who waits. Runs inside the cut.
"""

import contextlib
from collections.abc import Iterator
from types import GeneratorType
from typing import Any, NamedTuple

from ..resources import is_lock_type, shape_of
from ..statics import class_name, is_a, static_get
from .frame_values import BY_FINALLY, Held, View

HELD_KINDS = frozenset(("lock", "semaphore", "condition"))
"""Kinds of resource that somebody can hold while others wait for it. An executor, a process or a
task group can be entered as well, but entering it keeps nobody from anything."""
_DEPTH = 5


class HeldLock(NamedTuple):
    """A lock that a thread holds."""

    lock: object
    how: str
    written: str | None

    @property
    def by_finally(self) -> bool:
        """Whether only a `finally` tells of it, which may stand around the acquire as well as
        behind it. (A `with` is entered only once its lock is held.)"""
        return self.how == BY_FINALLY


def held_locks(view: View) -> Iterator[HeldLock]:
    """The locks that a frame's thread holds because of this frame."""
    for held in view.held():
        yield from _behind(held, _DEPTH)


def _behind(held: Held, depth: int) -> Iterator[HeldLock]:
    manager = held.value
    shape = shape_of(manager)
    if shape is not None:
        if shape.kind in HELD_KINDS and _is_taken(manager):
            yield HeldLock(manager, held.how, held.text)
        if shape.kind == "condition":
            lock = static_get(manager, "_lock")
            if _is_lock(lock):
                yield HeldLock(lock, held.how, None)
    elif depth and is_a(manager, contextlib._BaseExitStack):
        yield from _in_exit_stack(manager, depth)
    elif depth and is_a(manager, contextlib._GeneratorContextManagerBase):
        generator = static_get(manager, "gen")
        frame = generator.gi_frame if type(generator) is GeneratorType else None
        if frame is not None and generator.gi_suspended:
            for inner in View(frame).held():
                yield from _behind(inner, depth - 1)


def _in_exit_stack(stack: Any, depth: int) -> Iterator[HeldLock]:
    for _, callback in list(static_get(stack, "_exit_callbacks")):
        manager = getattr(callback, "__self__", None)
        if manager is not None:
            yield from _behind(Held(manager, "exit stack", None), depth - 1)


def _is_lock(obj: object) -> bool:
    shape = shape_of(obj)
    return shape is not None and shape.kind in HELD_KINDS and _is_taken(obj)


def _is_taken(lock: Any) -> bool:
    """Whether anybody holds one of the interpreter's locks; other locks are not asked."""
    return not (is_lock_type(lock) and class_name(lock) == "lock") or lock.locked()
