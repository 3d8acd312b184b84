"""The feed's WebSocket routes. Decides nothing: one implementation, a path for each contract."""

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from .modes import PATHS, Path
from .session import Feed, serve


def websocket_routes(feed: Feed) -> list[WebSocketRoute]:
    """/introspect and /observer over this feed."""
    return [websocket_route(path.url, path, feed) for path in PATHS]


def websocket_route(url: str, path: Path, feed: Feed) -> WebSocketRoute:
    """One contract at a URL of the caller's choice."""

    async def endpoint(websocket: WebSocket) -> None:
        await serve(websocket, path, feed)

    return WebSocketRoute(url, endpoint)
