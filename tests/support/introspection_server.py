"""Introspection servers of every sort that exists, made for the tests with trio-websocket."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import trio
import trio_websocket
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, serve_websocket


@asynccontextmanager
async def websocket_server(handler: object) -> AsyncIterator[str]:
    """`handler(websocket)` for each client; gives the URL."""

    async def serve(request: WebSocketRequest) -> None:
        websocket = await request.accept()
        with suppress(ConnectionClosed):
            await handler(websocket)  # type: ignore[operator]

    async with trio.open_nursery() as nursery:
        server: trio_websocket.WebSocketServer = await nursery.start(
            serve_websocket, serve, "127.0.0.1", 0, None
        )
        yield f"ws://127.0.0.1:{server.port}/introspect"
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def scripted_server(frames: Sequence[bytes | str]) -> AsyncIterator[str]:
    """Sends these frames to each client and then nothing."""

    async def handler(websocket: WebSocketConnection) -> None:
        for frame in frames:
            await websocket.send_message(frame)
        while True:
            await websocket.get_message()

    async with websocket_server(handler) as url:
        yield url
