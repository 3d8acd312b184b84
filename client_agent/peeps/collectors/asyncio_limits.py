"""Within what time an asyncio task's wait ends by itself, because somebody set a time limit.

Knows asyncio.timeout, wait_for and wait, wherever they were entered from (an exit stack, a context
manager of the program), and anyio's cancel scopes, which reach into the tasks of a task group and
not through a shield. Refuses to know what is waited for. Runs inside the cut.
"""

import math
import sys
from collections.abc import Iterator
from typing import Any

from ..awaitables import entered, slots, uncell
from ..statics import MISSING, class_module, class_name, static_get
from .holdings import resources_of
from .tasks import Shape

_ANYIO = "anyio._backends._asyncio"
_WITH_TIMER = frozenset(("wait", "wait_for"))
"""Functions of asyncio that keep the handle of their time limit in a variable."""
_MAX_SCOPES = 100


def limit_of(chain: list[Any], shape: Shape, now: float) -> float | None:
    """Seconds until the nearest limit that the task itself has set; None without one."""
    ends = [when for when in _ends(chain, shape) if type(when) is float]
    return max(min(ends) - now, 0.0) if ends else None


def _ends(chain: list[Any], shape: Shape) -> Iterator[Any]:
    for index in shape.withs:
        for manager in entered(chain[index], shape.codes[index]):
            for found in resources_of(manager):
                if class_name(found) == "Timeout" and class_module(found) in _TIMEOUTS:
                    yield static_get(found, "_when")
    if shape.rule is not None and shape.rule.kind in _WITH_TIMER:
        yield when_of_timer(slots(chain[shape.position], shape.codes[shape.position]))


_TIMEOUTS = frozenset(("asyncio.timeouts", "async_timeout"))


def when_of_timer(values: list[Any]) -> float | None:
    """When a timer handle among a coroutine's slots fires, by the loop's clock."""
    for value in [uncell(value) for value in values]:  # map() would swallow a StopIteration
        if class_name(value) == "TimerHandle":
            when = static_get(value, "_when")
            if when is MISSING and class_module(value).startswith("uvloop"):
                when = value.when()
            if type(when) is float:
                return when
    return None


def limits_by_anyio(now: float) -> dict[int, float]:
    """id of a task -> seconds until the nearest deadline of a cancel scope that reaches it."""
    states = static_get(getattr(sys.modules.get(_ANYIO), "_task_states", None), "data")
    if type(states) is not dict or not states:
        return {}
    known: dict[int, float] = {}  # scope -> deadline: the tasks of a group have one in common
    found = {}
    for reference, state in list(states.items()):
        scope = static_get(state, "cancel_scope")
        if scope is None or scope is MISSING:
            continue
        if id(scope) not in known:
            known[id(scope)] = _deadline(scope)
        task = reference()
        if task is not None and known[id(scope)] < math.inf:
            found[id(task)] = max(known[id(scope)] - now, 0.0)
        del task
    return found


def _deadline(scope: Any) -> float:
    """The nearest deadline of a scope and those around it, as far as they reach in."""
    nearest = math.inf
    for _ in range(_MAX_SCOPES):
        deadline = static_get(scope, "_deadline")
        if type(deadline) in (int, float):
            nearest = min(nearest, deadline)
        if static_get(scope, "_shield") is True:
            break
        scope = static_get(scope, "_parent_scope")
        if scope is None or scope is MISSING:
            break
    return nearest
