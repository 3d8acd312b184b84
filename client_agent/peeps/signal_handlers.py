"""Telling an exception that a signal handler of the host raised from one of our own.

Python runs signal handlers in the main thread, wherever that happens to be: also inside a cut that
an event loop runs for us. What they raise is the host's and has to reach it. Decides that, and
how many handlers there are.
"""

import functools
import sys
import types
from typing import Any

_OURS = __file__.rpartition("/")[0] + "/"


def is_from_signal_handler(exc: BaseException) -> bool:
    """Whether a handler of the host raised it, or it is none that we could have caused."""
    if not isinstance(exc, Exception):
        return True  # KeyboardInterrupt, SystemExit, ...
    exc = as_raised(exc)
    codes = []
    traceback = exc.__traceback__
    while traceback is not None:
        codes.append(traceback.tb_frame.f_code)
        traceback = traceback.tb_next
    if codes and codes[-1].co_filename.startswith(_OURS):
        return False  # the common case: what we called raised it
    return not {id(code) for code in codes}.isdisjoint(_handlers())


def as_raised(exc: BaseException) -> BaseException:
    """Without the RuntimeError that a generator of ours makes of a StopIteration."""
    cause = exc.__cause__
    if type(exc) is RuntimeError and isinstance(cause, StopIteration | StopAsyncIteration):
        return as_raised(cause)
    return exc


def _handlers() -> set[int]:
    """ids of the code of Python's signal handlers."""
    functions = map(_function_of, _installed())
    return {id(function.__code__) for function in functions if function is not None}


_OF_CTRL_C = frozenset(("asyncio.runners", "trio._core._ki"))
"""Modules whose handlers only turn Ctrl-C into an exception, as Python's own does."""


def count_handlers() -> int:
    """How many signals the host's own handlers wait for."""
    signal = sys.modules.get("_signal")
    interrupts = getattr(signal, "default_int_handler", None)
    handlers = [handler for handler in _installed() if handler is not interrupts]
    return sum(getattr(_function_of(h), "__module__", None) not in _OF_CTRL_C for h in handlers)


def _installed() -> list[Any]:
    """The handlers of all signals that are handled in Python."""
    signal = sys.modules.get("_signal")  # what Python's own module `signal` is made of
    if signal is None:
        return []
    handlers = [signal.getsignal(number) for number in range(1, signal.NSIG)]
    return [handler for handler in handlers if callable(handler)]


def _function_of(handler: object) -> types.FunctionType | None:
    for _ in range(8):
        if isinstance(handler, functools.partial):
            handler = handler.func
        elif isinstance(handler, types.MethodType):
            handler = handler.__func__
        elif isinstance(handler, types.FunctionType):
            return handler
        else:
            handler = type(handler).__dict__.get("__call__")
    return None
