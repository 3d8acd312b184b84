"""From a context manager that somebody entered to the resources that are held because of it.

Knows the wrappers in between: exit stacks, generator-based context managers, conditions (who
entered one holds its lock). Refuses to know who entered it.
"""

import contextlib
import types
from collections.abc import Iterator
from typing import Any

from ..awaitables import Link, entered, walk
from ..statics import MISSING, has_on_class, is_a, static_get

_DEPTH = 5


def resources_of(manager: Any, depth: int = _DEPTH) -> Iterator[Any]:
    """The objects that are held by having entered `manager`: itself and what it stands for."""
    yield manager
    if depth == 0:
        return
    if is_a(manager, contextlib._BaseExitStack):
        yield from _in_exit_stack(manager, depth)
        return
    generator = static_get(manager, "gen")
    if generator is not MISSING and is_a(manager, contextlib._GeneratorContextManagerBase):
        for link, code in _links_of(generator):
            for inner in entered(link, code):
                yield from resources_of(inner, depth - 1)
        return
    for name in ("_lock", "_internal_lock"):
        lock = static_get(manager, name)
        if lock is not MISSING and has_on_class(lock, "release"):
            yield lock
            return


def _links_of(generator: Any) -> list[Link]:
    if type(generator) is types.AsyncGeneratorType:
        return [(generator, generator.ag_code)]
    return walk(generator)


def _in_exit_stack(stack: Any, depth: int) -> Iterator[Any]:
    callbacks = static_get(stack, "_exit_callbacks")
    if callbacks is MISSING:
        return
    for _, callback in list(callbacks):
        if type(callback) is types.MethodType or type(callback) is types.BuiltinMethodType:
            yield from resources_of(callback.__self__, depth - 1)
