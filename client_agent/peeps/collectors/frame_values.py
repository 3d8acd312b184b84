"""What a frame of another thread holds and what it is blocked on, by the best reader there is.

Decides which of two readers answers. B reads the value stack in memory (`value_stack`); A
evaluates, statically, the expression that the program wrote (`expressions`). B finds more and is
exact, but only on interpreters where it proved itself; A works everywhere and is refused whenever
the expression may mean something else by now. Refuses to know what locks are.
"""

import contextlib
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any, NamedTuple

from . import known_calls
from .code_analysis import NOTHING_ACTIVE, CodeAnalysis, Site, analyse
from .expressions import Names, Unknown, text
from .operands import BY_STACK, Operation, known_operation, operation_on_stack, owner_of
from .value_stack import PinnedFrame, Reader, make_reader

BY_NAME = "static expression"
BY_FINALLY = "finally"

_OPTIMISED = 1  # CO_OPTIMIZED: variables live in slots, not in a dictionary


class Held(NamedTuple):
    """A context manager that a frame has entered, or something its handlers will release."""

    value: object
    how: str
    text: str | None
    """How the program wrote it, if as names."""


_reader: Reader | None = None
_why_not: str | None = None
_is_chosen = False


def prepare() -> str | None:
    """Choose the readers; call it outside of any cut. None, or why the value stack is not read."""
    global _reader, _why_not, _is_chosen
    if not _is_chosen:
        _is_chosen = True
        try:
            _reader = make_reader()
        except Exception as exc:
            _why_not = str(exc) or type(exc).__name__
    known_calls.refresh()
    return _why_not


def reads_stacks() -> bool:
    """Whether value stacks are read here."""
    return _reader is not None


class View:
    """One frame at one instant, through the reader that works here."""

    __slots__ = ("_analysis", "_frame", "_pinned", "code", "lasti")

    def __init__(self, frame: FrameType) -> None:
        self._frame = frame
        self.code = frame.f_code
        self.lasti = frame.f_lasti
        self._analysis: CodeAnalysis | None = None
        self._pinned: PinnedFrame | None = None

    @property
    def analysis(self) -> CodeAnalysis:
        """What the frame's code says about itself."""
        if self._analysis is None:
            self._analysis = analyse(self.code)
        return self._analysis

    def _pin(self) -> PinnedFrame | None:
        """The frame's slots; None on interpreters where they are not read. Raises Moved."""
        if self._pinned is None and _reader is not None:
            self._pinned = PinnedFrame(_reader, self._frame, self.lasti)
        return self._pinned

    def variable(self, name: str) -> Any:
        """The value of a variable. Raises KeyError if it has none, Unknown if it cannot be told."""
        if not self.code.co_flags & _OPTIMISED:
            namespace = self._frame.f_locals  # the module's or class's own dictionary
            if issubclass(type(namespace), dict):
                return dict.__getitem__(namespace, name)
            raise Unknown("not a plain namespace")
        pinned = self._pin()
        if pinned is not None:
            return pinned.variable(name)
        if sys.version_info >= (3, 13):
            return self._frame.f_locals[name]  # looks through to the frame and keeps nothing
        raise Unknown("variables cannot be read without changing the frame")

    def argument(self) -> Any:
        """The value of the first argument: `self` in a method; None if it cannot be told."""
        if not self.code.co_argcount:
            return None
        return self.variable_or_none(self.code.co_varnames[0])

    def variable_or_none(self, name: str) -> Any:
        """As `variable`, None where there is nothing to tell."""
        try:
            return self.variable(name)
        except (KeyError, Unknown):
            return None

    def holds_something(self) -> bool:
        """Whether `held` may find anything: quick, for the many frames where it cannot."""
        return bool(self.code.co_exceptiontable) and (
            self.analysis.active(self.code, self.lasti) is not NOTHING_ACTIVE
        )

    def held(self) -> Iterator[Held]:
        """What the frame has entered by `with`, or acquired for a `finally` to release."""
        active = self.analysis.active(self.code, self.lasti)
        for entered in active.withs:
            name = None if entered.manager is None else text(entered.manager)
            with contextlib.suppress(Unknown):
                pinned = self._pin()
                if pinned is not None:
                    bound_exit = pinned.stack_object(entered.depth - 1)
                    yield Held(owner_of(bound_exit), BY_STACK, name)
                elif entered.manager is not None:
                    yield Held(self._names().evaluate(entered.manager), BY_NAME, name)
        for expression in active.releases:
            with contextlib.suppress(Unknown):
                yield Held(self._names().evaluate(expression), BY_FINALLY, text(expression))

    def called_name(self) -> str | None:
        """The name that the program calls at the frame's instruction, right or wrong."""
        site = self.analysis.site(self.code, self.lasti)
        target = None if site is None else site.target
        return None if target is None else str(target[-1])

    def operation(self) -> Operation | None:
        """The known C function that the frame is in; None if it is in none, or may have returned.

        Ask the innermost frame of a thread only. By names alone it cannot be told whether the
        function has returned already.
        """
        site = self.analysis.site(self.code, self.lasti)
        if site is None:
            return None
        try:
            pinned = self._pin()
            if pinned is None:
                return self._operation_by_name(site)
            return operation_on_stack(pinned, site, self._names())
        except Unknown:
            return None

    def _operation_by_name(self, site: Site) -> Operation | None:
        target, names = site.target, self._names()
        if target is None:
            return None
        if site.kind == "with":
            return Operation("with", names.evaluate(target), None, BY_NAME, text(target))
        first = None
        if site.first is not None:
            with contextlib.suppress(Unknown):
                first = names.evaluate(site.first)
        if target[0] == "attr":
            inner = target[1]
            assert isinstance(inner, tuple)
            owner, name = names.evaluate(inner), str(target[2])
            if known_calls.has_method(type(owner), name):
                return Operation(name, owner, first, BY_NAME, text(inner))
        return known_operation(names.evaluate(target), first, BY_NAME)

    def _names(self) -> Names:
        return Names(self.variable, self._frame.f_globals, self._frame.f_builtins)
