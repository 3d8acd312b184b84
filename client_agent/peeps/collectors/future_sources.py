"""Who will set a concurrent future: a task, or a loop that has yet to begin one.

Decides it for `run_coroutine_threadsafe`: once the loop has taken the call, a callback of the
future leads to the task; before, the call lies in the loop's queue. Refuses to know executors.
"""

import itertools
import sys
from types import FunctionType
from typing import Any

from ..awaitables import closure
from ..cut import Cut
from ..statics import MISSING, has_on_class, static_get

_MAX_READY = 10_000


def note_source(future: Any, loops: list[Any], cut: Cut) -> None:
    """Put on record what will set `future`; `loops` are the event loops that threads run."""
    if "asyncio" not in sys.modules or static_get(future, "_done_callbacks") is MISSING:
        return
    source = _chained_source(future)
    if source is not None:
        from .asyncio_waits import is_future, task_ref

        if has_on_class(source, "get_coro"):
            cut.facts.future_maker[id(future)] = task_ref(source, cut)
        elif is_future(source):
            ref = cut.resource(source, "future")
            if ref is not None:
                cut.facts.future_maker[id(future)] = ref
        return
    for loop in loops:
        if _is_scheduled(future, loop):
            cut.facts.future_maker[id(future)] = ("event_loop", id(loop))
            return


def _chained_source(future: Any) -> Any:
    for callback in list(static_get(future, "_done_callbacks")):
        if (
            type(callback) is FunctionType
            and callback.__qualname__ == "_chain_future.<locals>._call_check_cancel"
        ):
            return closure(callback).get("source")
    return None


def _is_scheduled(future: Any, loop: Any) -> bool:
    """Whether a loop has yet to begin the coroutine that will set the future."""
    ready = static_get(loop, "_ready")
    if ready is MISSING:
        return False
    for handle in itertools.islice(tuple(ready), _MAX_READY):
        callback = static_get(handle, "_callback")
        if (
            type(callback) is FunctionType
            and callback.__qualname__ == "run_coroutine_threadsafe.<locals>.callback"
            and closure(callback).get("future") is future
        ):
            return True
    return False
