"""The feed's WebSocket routes. Decides nothing: one implementation, a path for each contract."""

from dataclasses import dataclass

from starlette.routing import WebSocketRoute
from starlette.types import Receive, Scope, Send

from .modes import PATHS, Path
from .session import Feed, serve


def websocket_routes(feed: Feed) -> list[WebSocketRoute]:
    """/introspect and /observer over this feed."""
    return [websocket_route(path.url, path, feed) for path in PATHS]


def websocket_route(url: str, path: Path, feed: Feed) -> WebSocketRoute:
    """One contract at a URL of the caller's choice."""
    return WebSocketRoute(url, _Application(path, feed))


@dataclass(frozen=True, slots=True)
class _Application:
    """An ASGI application; Starlette would hide the server's extension behind its own class."""

    path: Path
    feed: Feed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await serve(scope, receive, send, self.path, self.feed)
