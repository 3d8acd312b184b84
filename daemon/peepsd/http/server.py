"""The HTTP server: listens, accepts, and ends with grace.

Decides how many connections there may be and how stopping goes. Refuses to know requests
(connection.py) and who may send them (guard.py).
"""

import socket
from typing import Any, Final

import structlog
import trio
from hypercorn.config import Config
from hypercorn.trio.lifespan import Lifespan
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import LifespanState
from hypercorn.utils import wrap_app
from starlette.types import ASGIApp

from .connection import Connection
from .protocol import error_body

MAX_CONNECTIONS: Final = 320
"""Room for 256 observers, who stay, and for requests, which do not."""
GRACE_S: Final = 3.0
"""How long requests may go on after the server was told to stop."""

MAX_HEADER_BYTES: Final = 16 * 1024
MAX_MESSAGE_BYTES: Final = 64 * 1024
PING_S: Final = 20.0

_USER_TIMEOUT_MS: Final = 30_000
_REFUSAL_S: Final = 1.0

log = structlog.get_logger("peepsd.http")


def hypercorn_config() -> Config:
    """What Hypercorn's protocol code is told; everything that it decides by itself is said here."""
    config = Config()
    config.accesslog = None
    config.errorlog = None  # we log ourselves
    config.include_server_header = False
    config.h11_max_incomplete_size = MAX_HEADER_BYTES
    config.websocket_max_message_size = MAX_MESSAGE_BYTES
    config.websocket_ping_interval = PING_S
    return config


async def listen(host: str, port: int) -> list[trio.SocketListener]:
    """Listeners on every address of `host`; on port 0, on one address only. Raises OSError."""
    listeners = await trio.open_tcp_listeners(port, host=host)
    if port == 0:
        for unwanted in listeners[1:]:  # each would have got a port of its own
            await unwanted.aclose()
        del listeners[1:]
    return listeners


def bound_address(listeners: list[trio.SocketListener]) -> tuple[str, int]:
    """Address and port of the first listener."""
    name = listeners[0].socket.getsockname()
    return name[0], name[1]


async def serve(
    app: ASGIApp,
    listeners: list[trio.SocketListener],
    *,
    max_connections: int = MAX_CONNECTIONS,
    grace_s: float = GRACE_S,
    task_status: "trio.TaskStatus[tuple[str, int]]" = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve `app` until cancelled; then let requests finish for `grace_s`.

    Tells the bound address when it is ready. An error of the application or of a connection ends
    that connection only.
    """
    server = Server(app, max_connections, grace_s)
    async with trio.open_nursery() as nursery:
        await nursery.start(server.run, listeners)
        task_status.started(bound_address(listeners))
        try:
            await trio.sleep_forever()
        finally:
            server.stop()


class Server:
    """All connections of some listeners. `run` is shielded: it ends by `stop`, in time."""

    def __init__(self, app: ASGIApp, max_connections: int, grace_s: float) -> None:
        wrapped: Any = wrap_app(app, 0, "asgi")  # type: ignore[arg-type]
        self._app, self._config = wrapped, hypercorn_config()
        self._context, self._state = WorkerContext(None), LifespanState()
        self._max_connections, self._grace_s = max_connections, grace_s
        self._connections: set[Connection] = set()
        self._stopping = trio.Event()
        self.refused = 0

    def stop(self) -> None:
        """Accept nobody any more, and let `run` come to its end."""
        self._stopping.set()

    async def run(
        self,
        listeners: list[trio.SocketListener],
        *,
        task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Start the application's lifespan, accept, stop when told to."""
        lifespan = Lifespan(self._app, self._config, self._state)
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as nursery:
                await nursery.start(lifespan.handle_lifespan)
                await lifespan.wait_for_startup()
                task_status.started()
                await self._accept(listeners)
                with trio.move_on_after(self._grace_s):
                    await lifespan.wait_for_shutdown()
                nursery.cancel_scope.cancel()

    async def _accept(self, listeners: list[trio.SocketListener]) -> None:
        async with trio.open_nursery() as handlers:
            async with trio.open_nursery() as accepting:
                accepting.start_soon(self._serve_listeners, listeners, handlers)
                await self._stopping.wait()
                accepting.cancel_scope.cancel()
            handlers.cancel_scope.deadline = trio.current_time() + self._grace_s
            await self._context.terminated.set()
            for connection in list(self._connections):
                handlers.start_soon(connection.stop)

    async def _serve_listeners(
        self, listeners: list[trio.SocketListener], handlers: trio.Nursery
    ) -> None:
        await trio.serve_listeners(self._handle, listeners, handler_nursery=handlers)

    async def _handle(self, stream: trio.SocketStream) -> None:
        if len(self._connections) >= self._max_connections:
            self.refused += 1
            return await _refuse(stream)
        try:
            _notice_dead_clients(stream)
            connection = Connection(
                self._app, self._config, self._context, self._state.copy(), stream
            )
        except OSError:  # it is gone already
            return await trio.aclose_forcefully(stream)
        self._connections.add(connection)
        try:
            return await connection.run()
        finally:
            self._connections.discard(connection)


async def _refuse(stream: trio.SocketStream) -> None:
    body = error_body(503)
    head = (
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    with trio.move_on_after(_REFUSAL_S):
        try:
            await stream.send_all(head.encode() + body)
            await stream.send_eof()
            await stream.receive_some(MAX_HEADER_BYTES)  # unread input would reset it
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
    await trio.aclose_forcefully(stream)


def _notice_dead_clients(stream: trio.SocketStream) -> None:
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT_MS)
