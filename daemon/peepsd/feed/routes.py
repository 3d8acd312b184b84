"""The feed's WebSocket routes: one implementation, a path for each contract.

Decides only what is said to those who come another way: at another path, or without an upgrade.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from .modes import PATHS, Path
from .session import Feed, serve


def websocket_routes(feed: Feed, *also: tuple[str, Path]) -> list[BaseRoute]:
    """/introspect and /observer over this feed, `also` such contracts at other URLs, and an
    answer for WebSockets anywhere else: put these routes last."""
    served = [*((path.url, path) for path in PATHS), *also]
    return [
        *(WebSocketRoute(url, _Application(path, feed)) for url, path in served),
        *(Route(url, _not_upgraded, include_in_schema=False) for url, _ in served),
        WebSocketRoute("/{path:path}", _Nowhere([url for url, _ in served])),
    ]


@dataclass(frozen=True, slots=True)
class _Application:
    """An ASGI application; Starlette would hide the server's extension behind its own class."""

    path: Path
    feed: Feed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await serve(scope, receive, send, self.path, self.feed)


async def _not_upgraded(request: Request) -> Response:
    return JSONResponse(
        {
            "error": f"{request.url.path} is a WebSocket, and this request does not upgrade to one",
            "hint": "observe it by `peeps watch`, or by any client of the observer protocol",
        },
        status_code=426,
        headers={"Upgrade": "websocket"},
    )


@dataclass(frozen=True, slots=True)
class _Nowhere:
    """Refuses a WebSocket at a path where there is none."""

    urls: Sequence[str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        websocket = WebSocket(scope, receive, send)
        answer = JSONResponse(
            {
                "error": f"there is no WebSocket at {scope['path'][:100]}",
                "hint": f"observers connect to {' or '.join(self.urls)}",
            },
            status_code=404,
        )
        await receive()  # websocket.connect
        await websocket.send_denial_response(answer)
