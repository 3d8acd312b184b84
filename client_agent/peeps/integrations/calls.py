"""Calls under way in this process: requests that it made, responses that it owes.

Decides which `traceparent` ties the two ends of a call, who waits for the call or works on it,
and how long it is kept. Knows no library: the integrations begin and end calls here, and the
collector `requests` reads them. Safe from any thread. While the agent is off nothing is kept.
"""

import contextvars
import sys
import time
import weakref
from collections.abc import Callable
from typing import Any

from .. import _api
from . import traceparent
from .traceparent import Traceparent

_MAX_CALLS = 100_000
_served: contextvars.ContextVar[Traceparent | None] = contextvars.ContextVar(
    "peeps_served", default=None
)
"""The call that the current task serves: what it calls in turn belongs to the same trace."""

REQUEST, RESPONSE = "request", "response"


class Call:
    """One end of a call."""

    __slots__ = ("_key", "kind", "method", "parent", "path", "started", "status", "until", "who")

    def __init__(
        self, kind: str, method: str, path: "str | Callable[[], str]", parent: Traceparent
    ) -> None:
        from ..registry import current_ref

        self.kind = kind
        self.method = method
        self.path = path
        """Path without query, or a function that tells the route once it is known."""
        self.parent = parent
        """What ties both ends."""
        self.who = current_ref()
        """The task or thread that waits for the call, or works on it."""
        self.started = time.monotonic()
        self.status: int | None = None
        self.until: weakref.ref[Any] | None = None
        self._key = (kind, parent.key)

    def is_over(self) -> bool:
        """Whether the object that it lived with is gone or closed."""
        if self.until is None:
            return False
        response = self.until()
        return response is None or bool(getattr(response, "closed", False))

    def lives_with(self, response: object) -> None:
        """End the call with an object, if nobody ends it before."""
        self.until = weakref.ref(response, lambda _: self.end())

    def end(self) -> None:
        """Take it out of the graph. Twice is once."""
        if _calls.get(self._key) is self:
            del _calls[self._key]

    def serve(self) -> "contextvars.Token[Traceparent | None]":
        """Have calls that the current task makes belong to the trace of this one."""
        return _served.set(self.parent)


_calls: dict[tuple[str, str], Call] = {}


def is_on() -> bool:
    """Whether the agent runs."""
    return _api._registry is not None


def begin_request(method: str, path: str, header: str | None) -> Call | None:
    """A call that this process makes, `header` being the traceparent it has so far.

    Returns None while the agent is off, else a call whose `parent` is to be sent. A header that
    another call under way carries already is not used twice: both would be one.
    """
    if not is_on():
        return None
    parent = traceparent.parse(header) or _current_trace() or traceparent.new()
    if (REQUEST, parent.key) in _calls or (RESPONSE, parent.key) in _calls:
        parent = parent.with_new_span()
    return _keep(Call(REQUEST, method, path, parent))


def begin_response(method: str, path: "str | Callable[[], str]", header: str | None) -> Call | None:
    """A call that this process answers. None while the agent is off."""
    if not is_on():
        return None
    parent = traceparent.parse(header) or traceparent.new()
    return _keep(Call(RESPONSE, method, path, parent))


def current_calls() -> list[Call]:
    """The calls under way."""
    return [call for call in list(_calls.values()) if not call.is_over()]


def _keep(call: Call) -> Call:
    if len(_calls) >= _MAX_CALLS:
        for old in list(_calls.values()):
            if old.is_over() or len(_calls) >= _MAX_CALLS:
                old.end()
    _calls[call._key] = call
    return call


def _current_trace() -> Traceparent | None:
    """Where the calling code is in a trace: OpenTelemetry's current span, or the call it serves."""
    opentelemetry = sys.modules.get("opentelemetry.trace")
    if opentelemetry is not None:
        try:
            context = opentelemetry.get_current_span().get_span_context()
            if context.is_valid:
                flags = f"{int(context.trace_flags):02x}"
                return Traceparent(f"{context.trace_id:032x}", f"{context.span_id:016x}", flags)
        except Exception:  # a version of another shape
            pass
    served = _served.get()
    return None if served is None else served.with_new_span()
