"""Telling an exception that a signal handler of the host raised from one of our own.

Python runs signal handlers in the main thread, wherever that happens to be: also inside a cut that
an event loop runs for us. What they raise is the host's and has to reach it. Decides nothing else.
"""

import functools
import sys
import types


def is_from_signal_handler(exc: BaseException) -> bool:
    """Whether a handler of the host raised it, or it is none that we could have caused."""
    if not isinstance(exc, Exception):
        return True  # KeyboardInterrupt, SystemExit, ...
    codes = {id(code) for code in map(_code_of, _handlers()) if code is not None}
    traceback = exc.__traceback__
    while traceback is not None:
        if id(traceback.tb_frame.f_code) in codes:
            return True
        traceback = traceback.tb_next
    return False


def _handlers() -> list[object]:
    signal = sys.modules.get("signal")  # without it, nobody has set a handler
    return [signal.getsignal(number) for number in signal.valid_signals()] if signal else []


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
