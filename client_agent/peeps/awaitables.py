"""Walking from a suspended coroutine down to what it awaits, and reading its slots.

Decides which object comes next in a chain of awaitables and what a coroutine has on its value
stack. Refuses to know what any of it means (rules.py does).

Two facts of CPython 3.11 to 3.13 shape every line here:
- Reading `cr_await` of a coroutine that is *running* can crash the interpreter. So
  `cr_suspended` is tested and `cr_await` read with no call and no backward jump in between,
  where no other thread can get the interpreter lock.
- `f_locals` keeps deleted locals alive on 3.11 and 3.12, so locals and value stack are read by
  `gc.get_referents`: name, function, code, locals in slot order (unset ones skipped), value stack.
"""

import gc
import sys
import types
from collections.abc import Iterator
from typing import Any

from .statics import class_module, class_name
from .versions import why_unverified

Coroutine = types.CoroutineType
Generator = types.GeneratorType
AsyncGenerator = types.AsyncGeneratorType
referents = gc.get_referents

MAX_CHAIN = 1000
READS_SLOTS = why_unverified() is None
"""Whether the order of gc.get_referents was verified on this interpreter."""
CODE_AT = 4 if sys.version_info < (3, 12) else 3
"""Where the frame's code is among the referents of a coroutine that has no frame object."""
EXIT_NAMES = frozenset({"__exit__", "__aexit__"})

_WRAPPERS = frozenset(
    {
        "FutureIter",
        "coroutine_wrapper",
        "async_generator_asend",
        "async_generator_athrow",
        "anext_awaitable",
    }
)

Link = tuple[Any, types.CodeType]
"""One coroutine-like object of a chain and its code."""


def walk(root: Any) -> list[Link]:
    """The suspended coroutines, generators and async generators from `root` inwards.

    Stops at the first object that is not one of them (a future), at one that is running, and
    after MAX_CHAIN links. Empty if `root` itself is running, finished or something else.
    """
    links: list[Link] = []
    current = root
    for _ in range(MAX_CHAIN):
        kind = type(current)
        if kind is Coroutine:
            code = current.cr_code
            if not current.cr_suspended:
                break
            inner = current.cr_await  # nothing may stand between this line and the test above
            links.append((current, code))
        elif kind is Generator:
            code = current.gi_code
            if not current.gi_suspended:
                break
            inner = current.gi_yieldfrom  # as above
            links.append((current, code))
        elif kind is AsyncGenerator:
            inner = _async_generator_await(root, current)
            if inner is None:
                break
            links.append((current, current.ag_code))
        else:
            inner = _inside_wrapper(current)
        if inner is None:
            break
        current = inner
    return links


def _async_generator_await(root: Any, generator: Any) -> Any:
    """3.11 has no `ag_suspended`; an awaited generator is suspended while its root is."""
    if type(root) is not Coroutine or not root.cr_suspended:
        return None
    return generator.ag_await  # nothing may stand between this line and the test above


def _inside_wrapper(current: Any) -> Any:
    """What one of the C objects between coroutines wraps; None if it is no such object."""
    name = class_name(current)
    if name not in _WRAPPERS:
        is_cython = name == "coroutine" and class_module(current).startswith("_cython")
        return current.cr_await if is_cython else None
    for inner in referents(current):
        kind = type(inner)
        if kind is Coroutine or kind is Generator or kind is AsyncGenerator:
            return inner
        if class_name(inner) in _WRAPPERS:
            return inner
    return None


def slots(link: Any, code: types.CodeType) -> list[Any]:
    """Locals in slot order, unset ones skipped, then the value stack, of a suspended link."""
    found = referents(link)
    return found[_first_slot(found, code) :]


def _first_slot(found: list[Any], code: types.CodeType) -> int:
    """Where the locals begin: behind the code object that the frame has."""
    if not READS_SLOTS:
        return len(found)
    if len(found) > CODE_AT and found[CODE_AT] is code:
        return CODE_AT + 1
    for index in range(len(found) - 1, -1, -1):
        if found[index] is code:
            return index + 1
    return len(found)


def argument(link: Any, code: types.CodeType, name: str | None = None) -> Any:
    """An argument's value (the first one's without a name); None if it cannot be told.

    Exact as long as no earlier argument was deleted, which the rules' functions never do.
    """
    index = argument_index(code, name)
    return None if index is None else argument_at(link, code, index)


def argument_index(code: types.CodeType, name: str | None) -> int | None:
    """Which slot an argument has; None if there is no such argument."""
    count = code.co_argcount + code.co_kwonlyargcount
    if name is None:
        return 0 if count else None
    names = code.co_varnames[:count]
    return names.index(name) if name in names else None


def argument_at(link: Any, code: types.CodeType, index: int) -> Any:
    """The value of the argument in that slot."""
    found = referents(link)
    index += _first_slot(found, code)
    if index >= len(found):
        return None
    value = found[index]
    return uncell(value) if type(value) is types.CellType else value


def uncell(value: Any) -> Any:
    """A variable shared with an inner function lives in a cell; this is what the cell holds."""
    if type(value) is types.CellType:
        try:
            return value.cell_contents
        except ValueError:
            return None
    return value


def entered(link: Any, code: types.CodeType) -> Iterator[Any]:
    """The context managers that a suspended link has entered and not left.

    Python keeps the bound `__exit__` or `__aexit__` on the value stack for as long as the body
    of the `with` runs, and already while `__aenter__` is awaited.
    """
    for value in slots(link, code):
        kind = type(value)
        if kind is types.MethodType:
            function = value.__func__
            if type(function) is types.FunctionType and function.__name__ in EXIT_NAMES:
                yield value.__self__
        elif kind is types.BuiltinMethodType and value.__name__ in EXIT_NAMES:
            yield value.__self__


def closure(function: Any) -> dict[str, Any]:
    """The free variables of a Python function by name; empty for anything else."""
    if type(function) is not types.FunctionType:
        return {}
    names = function.__code__.co_freevars
    return {
        name: uncell(cell) for name, cell in zip(names, function.__closure__ or (), strict=False)
    }
