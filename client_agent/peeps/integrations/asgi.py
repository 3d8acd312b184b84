"""An ASGI middleware that shows the responses a server owes.

    app.add_middleware(peeps.integrations.asgi.Middleware)      Starlette, FastAPI
    app = peeps.integrations.asgi.Middleware(app)               any ASGI application

Decides what a response is called: method, and the route's template where the framework tells it,
else the path. Query, headers and bodies are not looked at, but for `traceparent`.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from ..statics import static_get
from . import calls
from .traceparent import HEADER

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Middleware:
    """Wraps an ASGI application."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = None
        if scope["type"] == "http" and calls.is_on():
            call = calls.begin_response(
                str(scope.get("method")), lambda: route_of(scope), _header(scope)
            )
        if call is None:
            await self.app(scope, receive, send)
            return

        async def send_and_note(message: Message) -> None:
            if message["type"] == "http.response.start":
                call.status = message.get("status")
            await send(message)

        call.serve()  # the server gives each request a context of its own
        try:
            await self.app(scope, receive, send_and_note)
        finally:
            call.end()


def route_of(scope: Scope) -> str:
    """The template of the route that answers, "/orders/{id}"; the path if it is not known."""
    route = scope.get("route")
    for name in ("path_format", "path"):
        template = static_get(route, name)
        if type(template) is str:
            return template
    return str(scope.get("path", ""))


def _header(scope: Scope) -> str | None:
    name = HEADER.encode()
    for key, value in scope.get("headers") or ():
        if bytes(key).lower() == name:
            return bytes(value).decode("latin-1")
    return None
