"""Telling an exception that a signal handler of the host raised from one of our own.

Python runs signal handlers in the main thread, wherever that happens to be: also inside a cut that
an event loop runs for us. What they raise is the host's and has to reach it. Decides nothing else.
"""

import functools
import sys
import types

_OURS = __file__.rpartition("/")[0] + "/"


def is_from_signal_handler(exc: BaseException) -> bool:
    """Whether a handler of the host raised it, or it is none that we could have caused."""
    if not isinstance(exc, Exception):
        return True  # KeyboardInterrupt, SystemExit, ...
    codes = []
    traceback = exc.__traceback__
    while traceback is not None:
        codes.append(traceback.tb_frame.f_code)
        traceback = traceback.tb_next
    if codes and codes[-1].co_filename.startswith(_OURS):
        return False  # the common case: what we called raised it
    return not {id(code) for code in codes}.isdisjoint(_handlers())


def _handlers() -> set[int]:
    """ids of the code of Python's signal handlers."""
    signal = sys.modules.get("_signal")  # what Python's own module `signal` is made of
    if signal is None:
        return set()
    handlers = [signal.getsignal(number) for number in range(1, signal.NSIG)]
    return {id(_code_of(handler)) for handler in handlers if callable(handler)} - {id(None)}


def _code_of(handler: object) -> types.CodeType | None:
    for _ in range(8):
        if isinstance(handler, functools.partial):
            handler = handler.func
        elif isinstance(handler, types.MethodType):
            handler = handler.__func__
        elif isinstance(handler, types.FunctionType):
            return handler.__code__
        else:
            handler = type(handler).__dict__.get("__call__")
    return None
