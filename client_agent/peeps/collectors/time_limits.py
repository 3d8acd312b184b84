"""For how long a blocking C call waits at most, as the program asked for.

Decides which argument of which call is its time limit, and what its value means. Refuses to know
frames: the arguments are handed in, and nothing of them but a number of seconds comes out.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..statics import MISSING, static_get, type_name

FOREVER = None


class _Parameter(NamedTuple):
    """Where a call takes its limit."""

    position: int
    keyword: str = "timeout"
    unit_s: float = 1.0
    blocking: str | None = None
    """The name of a first parameter which, if false, says not to wait at all."""


_LOCK = _Parameter(1, blocking="blocking")
_PARAMETERS = {
    "acquire": _LOCK,
    "acquire_lock": _LOCK,
    "get": _Parameter(1, blocking="block"),
    "join": _Parameter(0),
    "select": _Parameter(3),
    "poll": _Parameter(0),
}
_MILLISECONDS = _Parameter(0, unit_s=0.001)
_SEMLOCK = _Parameter(1, blocking="block")

Argument = Callable[[int], Any]
"""The value of an argument by its place in the call, positional ones first."""


def limit_of_call(
    name: str, owner: object, count: int, keywords: Sequence[str], argument: Argument
) -> float | None:
    """Seconds after which a call returns whatever happens: 0 if it does not wait at all, None if
    it has no limit or none that can be told. `count` arguments, the last of them by keyword."""
    parameter = _parameter(name, owner)
    if parameter is None:
        return FOREVER
    plain = count - len(keywords)

    def value(position: int, keyword: str) -> Any:
        if position < plain:
            return argument(position)
        return argument(plain + keywords.index(keyword)) if keyword in keywords else MISSING

    if parameter.blocking is not None and _is_false(value(0, parameter.blocking)):
        return 0.0
    return _seconds(value(parameter.position, parameter.keyword), parameter.unit_s)


def limit_of_socket(socket: object) -> float | None:
    """Seconds after which a call on a blocking socket gives up; None: it never does."""
    return _seconds(static_get(socket, "timeout"), 1.0)


def _parameter(name: str, owner: object) -> _Parameter | None:
    kind = type_name(owner)
    if kind == "select.poll":
        return _MILLISECONDS
    if kind.endswith("SemLock"):
        return _SEMLOCK
    return _PARAMETERS.get(name)


def _is_false(value: Any) -> bool:
    return type(value) in (bool, int) and not value


def _seconds(value: Any, unit_s: float) -> float | None:
    """A plain number that is a limit: negative ones and infinity mean that there is none."""
    if type(value) not in (int, float) or not 0 <= value < math.inf:
        return FOREVER
    return float(value) * unit_s
