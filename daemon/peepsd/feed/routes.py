"""The feed's WebSocket routes. Decides nothing: one implementation, a path for each contract."""

from collections.abc import Awaitable, Callable

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from .modes import PATHS, Path
from .session import Feed, serve


def websocket_routes(feed: Feed) -> list[WebSocketRoute]:
    """/introspect and /observer over this feed."""
    return [WebSocketRoute(path.url, _endpoint(path, feed)) for path in PATHS]


def _endpoint(path: Path, feed: Feed) -> Callable[[WebSocket], Awaitable[None]]:
    async def endpoint(websocket: WebSocket) -> None:
        await serve(websocket, path, feed)

    return endpoint
