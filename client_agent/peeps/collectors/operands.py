"""What a frame's innermost call works on: which C function, whose method, with which time limit.

Decides which operands of a call may be followed at all. The interpreter lets go of them while the
frame still stands at the call, so an address in a slot may be that of something that is being
freed. Two ways are safe: the program wrote it as names whose value, found where somebody owns it,
has that very address; or it is a live object of a plain type of the interpreter's. Whatever else
was computed on the spot is not known.
"""

import contextlib
import sys
from collections.abc import Mapping
from types import BuiltinMethodType, MethodType
from typing import NamedTuple

from . import known_calls
from .code_analysis import Expression, Site
from .expressions import Names, Unknown, text
from .time_limits import limit_of_call
from .value_stack import PinnedFrame

BY_STACK = "value stack"

_NUMBERS = {id(kind): kind for kind in (bool, int, float)}
_FUNCTIONS = {id(BuiltinMethodType): BuiltinMethodType}
_MANAGERS_OWN_EXIT = sys.version_info < (3, 12)
"""The slot of a manager that is being entered holds its bound exit method, and owns it."""
_CALLABLE_FIRST = sys.version_info >= (3, 13)


class Operation(NamedTuple):
    """The C function in which a frame may be."""

    name: str
    """Its name; "with" for a manager that is being entered."""
    owner: object
    """The object whose method it is, or the manager; None for a function of a module."""
    first: object
    """The first argument; None if it is not known."""
    how: str
    text: str | None
    limit_s: float | None = None
    """After so many seconds it returns whatever happens, at once if 0; None: not that is known."""


def operation_on_stack(pinned: PinnedFrame, site: Site, names: Names) -> Operation | None:
    """The call that is under way, or None once it has returned, or if it is no known one.

    Up to 3.12 a returned call leaves its result where NULL or the method was. From 3.13 on the
    callable itself is there, or the result. Raises Unknown.
    """
    operands = _Operands(pinned, names)
    written = None if site.target is None else text(site.target)
    if site.kind == "with":
        return Operation("with", operands.manager(site), None, BY_STACK, written)
    lower = pinned.stack_word(site.base)
    method = known_calls.methods.get(lower)
    if method is not None:
        written = written and written.rpartition(".")[0]
        wrote = site.target[1] if site.target is not None and site.target[0] == "attr" else None
        owner = operands.owner(site.base + 1, wrote)
        limit = operands.limit(site, method.__name__, owner)
        return Operation(method.__name__, owner, None, BY_STACK, written, limit)
    if (pinned.stack_word(site.base + 1) if _CALLABLE_FIRST else lower) != 0:
        return None
    function = operands.function(site)
    known = known_operation(function, None, BY_STACK)
    if known is None or not site.arguments or not written or not written.endswith(known.name):
        return known  # or a call that has just returned a function: its operands are stale
    return known._replace(
        first=operands.first(site), limit_s=operands.limit(site, known.name, known.owner)
    )


def known_operation(function: object, first: object, how: str) -> Operation | None:
    """A builtin function, or a bound method of a builtin type, if it is a known one."""
    if type(function) is not BuiltinMethodType:
        return None
    name, owner = function.__name__, function.__self__
    if id(function) in known_calls.functions:
        return Operation(name, None, first, how, None)
    if known_calls.has_method(type(owner), name):
        return Operation(name, owner, first, how, None)
    return None


def owner_of(bound_exit: object) -> object:
    """The manager whose bound exit method that is; a manager itself stays what it is."""
    if type(bound_exit) in (MethodType, BuiltinMethodType):
        return bound_exit.__self__  # type: ignore[attr-defined]
    return bound_exit


class _Operands:
    """The operands of one call, as far as they may be followed."""

    def __init__(self, pinned: PinnedFrame, names: Names) -> None:
        self._pinned = pinned
        self._names = names

    def get(self, position: int, written: object, trusted: Mapping[int, type]) -> object:
        """What is in a slot. Raises Unknown."""
        if isinstance(written, tuple):
            with contextlib.suppress(Unknown):
                value = self._names.evaluate(written)
                if id(value) == self._pinned.stack_word(position):
                    return value
        return self._pinned.operand(position, trusted)

    def owner(self, position: int, written: object) -> object:
        """Whose method is called; None if that is not known."""
        with contextlib.suppress(Unknown):
            return self.get(position, written, known_calls.plain_types)
        return None

    def manager(self, site: Site) -> object:
        """The manager that is being entered."""
        if _MANAGERS_OWN_EXIT:
            return owner_of(self._pinned.stack_object(site.depth - 1))
        return self.owner(site.depth - 1, site.target)

    def function(self, site: Site) -> object:
        """What is called, if it is no method."""
        position = site.base + (not _CALLABLE_FIRST)
        function = known_calls.functions.get(self._pinned.stack_word(position))
        return function or self.get(position, site.target, _FUNCTIONS)

    def first(self, site: Site) -> object:
        """The first argument; None if it is not known."""
        return None if site.keywords is None else self._argument(site, 0, site.first)

    def limit(self, site: Site, name: str, owner: object) -> float | None:
        """The time limit of the call; None if it has none, or none that is known."""
        if site.keywords is None:  # what `*` gave is not in a slot of its own
            return None
        return limit_of_call(
            name, owner, site.arguments, site.keywords, lambda n: self._argument(site, n, None)
        )

    def _argument(self, site: Site, number: int, written: Expression | None) -> object:
        with contextlib.suppress(Unknown):
            return self.get(site.base + 2 + number, written, _NUMBERS)
        return None
