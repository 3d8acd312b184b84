"""One HTTP connection: Hypercorn's HTTP/1.1 and WebSocket protocol on a trio stream.

Decides deadlines, and what becomes of a connection whose client is slow, silent or gone. Refuses
to know what is asked. Why not Hypercorn's own trio server: it upgrades to HTTP/2 when asked,
inflates compressed WebSocket messages, waits for ever for a client that does not read, and one
connection's protocol error ends all of them.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from math import inf
from typing import Any, Final, cast

import h11
import structlog
import trio
import wsproto.events
import wsproto.utilities
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.events import Data
from hypercorn.protocol.ws_stream import WSStream
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper, ConnectionState, LifespanState, Scope, TaskGroup
from wsproto.connection import ConnectionState as WsState

from .protocol import Http11

HEADER_DEADLINE_S: Final = 10.0
"""From connecting, or from the last response, to the end of the next request's head."""

WRITE_DEADLINE_S: Final = 30.0
"""In which a client must take a chunk of a response."""

APP_QUEUE: Final = 10
"""Messages from the client that may wait for the application."""

_CHUNK: Final = 64 * 1024
_RECEIVE: Final = 16 * 1024
"""By this much a request's head may be larger than its limit."""

FRAMES: Final = "peeps.websocket.frames"
"""ASGI extension of ours: a message of this type sends "data", one or more whole WebSocket frames
as a server writes them, in one go. The observer feed encodes a frame once for all observers."""

_LINGER_S: Final = 1.0
_LINGER_BYTES: Final = 1024 * 1024
GOING_AWAY: Final = 1001
_GONE: Final[dict[str, Any]] = {
    "http": {"type": "http.disconnect"},
    "websocket": {"type": "websocket.disconnect", "code": 1006},
}

Send = Callable[[Any], Awaitable[None]]

log = structlog.get_logger("peepsd.http")


class Connection:
    """Serves one stream until it ends. Errors are logged, never raised."""

    def __init__(
        self,
        app: AppWrapper,
        config: Config,
        context: WorkerContext,
        state: LifespanState,
        stream: trio.SocketStream,
    ) -> None:
        self._stream = stream
        self._send_lock = trio.Lock()
        self._reading = trio.CancelScope()
        self._is_closed = False
        self._tasks = _Tasks()
        self._protocol = Http11(
            app, config, context, cast(TaskGroup, self._tasks), ConnectionState(state), False,
            _address(stream.socket.getpeername()), _address(stream.socket.getsockname()),
            self._protocol_send,
        )  # fmt: skip

    async def run(self) -> None:
        """Serve it; returns when the application is done with it too. Cancelling closes it."""
        try:
            async with trio.open_nursery() as self._tasks.helpers:
                async with trio.open_nursery() as self._tasks.apps:
                    with self._reading:
                        self._expect_request()
                        await self._read()
                    await self._protocol.handle(Closed())
                    await self._tasks.tell_apps()
                self._tasks.helpers.cancel_scope.cancel()
        except* (h11.ProtocolError, wsproto.utilities.ProtocolError) as errors:
            log.info("HTTP connection ended", errors=_messages(errors))
        except* Exception as errors:
            log.error("HTTP connection failed", exc_info=errors)
        finally:
            await trio.aclose_forcefully(self._stream)

    async def stop(self) -> None:
        """Take no further request: end at once if idle, tell a WebSocket, let a response finish."""
        websocket = self._protocol.stream
        if self._reading.deadline < inf:
            self._reading.cancel()
        elif isinstance(websocket, WSStream):
            close: Any = {"type": "websocket.close", "code": GOING_AWAY}
            await websocket.app_send(close)
            await self._close()

    def _expect_request(self) -> None:
        self._reading.deadline = trio.current_time() + HEADER_DEADLINE_S

    async def _read(self) -> None:
        data = b"-"
        while data:
            try:
                data = bytes(await self._stream.receive_some(_RECEIVE))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return
            await self._protocol.handle(RawData(data))
            if self._protocol.is_lost():
                await self._close()

    async def _protocol_send(self, event: Event) -> None:
        if isinstance(event, RawData):
            await self._write(event.data)
        elif isinstance(event, Closed):
            await self._close()
        elif isinstance(event, Updated):
            if event.idle:
                self._expect_request()
            else:
                self._reading.deadline = inf

    async def _write(self, data: bytes) -> None:
        """Send, or give the client up. Not cancelled half-way, but never for long."""
        if self._is_closed:
            return
        async with self._send_lock:
            try:
                for start in range(0, len(data), _CHUNK):
                    with trio.fail_after(WRITE_DEADLINE_S):
                        await self._stream.send_all(data[start : start + _CHUNK])
            except (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
                await self._give_up()

    async def _give_up(self) -> None:
        self._is_closed = True
        await trio.aclose_forcefully(self._stream)
        await self._protocol.handle(Closed())

    async def _close(self) -> None:
        """The last response has been sent: see to it that it is read.

        Closing a socket with unread input resets it, and the client may never see why a request
        was refused. So say that we are done, and let a little more arrive.
        """
        if self._is_closed:
            return
        self._is_closed = True
        self._reading.cancel()
        left = _LINGER_BYTES
        with trio.CancelScope(deadline=trio.current_time() + _LINGER_S, shield=True):
            await self._protocol.handle(Closed())
            try:
                await self._stream.send_eof()
                while left > 0 and (data := await self._drain()):
                    left -= len(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError):
                pass  # busy: a write is stuck, so nobody will read a good-bye
        await trio.aclose_forcefully(self._stream)

    async def _drain(self) -> bytes:
        while True:
            try:
                return bytes(await self._stream.receive_some(_CHUNK))
            except trio.BusyResourceError:  # our reader has not yet let go
                await trio.lowlevel.checkpoint()


class _Tasks:
    """The tasks of one connection, as Hypercorn's protocols start them."""

    apps: trio.Nursery
    """The application, which may go on when its client has left."""
    helpers: trio.Nursery
    """Whatever ends with the connection, such as sending pings."""

    def __init__(self) -> None:
        self._inboxes: list[_Inbox] = []

    def spawn(self, function: Callable[..., Awaitable[object]], *args: Any) -> None:
        """Run a task of the protocol."""
        self.helpers.start_soon(function, *args)

    async def spawn_app(self, app: AppWrapper, config: Config, scope: Scope, send: Send) -> Send:
        """Start the application; returns how to give it a message."""
        if scope["type"] == "websocket":
            scope["extensions"][FRAMES] = {}
            send = _with_frames(send)
        inbox = _Inbox(_GONE[scope["type"]])
        self._inboxes = [other for other in self._inboxes if not other.has_ended] + [inbox]
        self.apps.start_soon(_run_app, app, scope, inbox, send)
        return inbox.put

    async def tell_apps(self) -> None:
        """Make sure that every application still at work knows that its client is gone."""
        for inbox in self._inboxes:
            await inbox.put(inbox.gone)


class _Inbox:
    """Messages for one application task. A full one holds its client up, until it has ended."""

    def __init__(self, gone: Any) -> None:
        self._messages: deque[Any] = deque()
        self.gone = gone
        self.has_ended = False
        self._lot = trio.Condition()

    async def put(self, message: Any) -> None:
        """Add a message; wait while it is full, but not to tell that the client is gone.

        Whoever tells that may be the application itself, in the middle of sending.
        """
        is_last = message["type"] == self.gone["type"]
        async with self._lot:
            while len(self._messages) >= APP_QUEUE and not self.has_ended and not is_last:
                await self._lot.wait()
            self._messages.append(message)
            self._lot.notify_all()

    async def get(self) -> Any:
        """The ASGI `receive` of the application."""
        async with self._lot:
            while not self._messages:
                await self._lot.wait()
            message = self._messages.popleft()
            self._lot.notify_all()
            return message

    async def end(self) -> None:
        """Nobody will read any more; let go of whoever waits."""
        async with self._lot:
            self.has_ended = True
            self._messages.clear()
            self._lot.notify_all()


def _with_frames(app_send: Send) -> Send:
    """The `send` of a WebSocket application, with our extension."""
    stream: WSStream = app_send.__self__  # type: ignore[attr-defined]

    async def send(message: Any) -> None:
        if message is None or message["type"] != FRAMES:
            await app_send(message)
        elif not stream.closed and stream.connection.state is WsState.OPEN:
            await stream.send(Data(stream_id=stream.stream_id, data=message["data"]))

    return send


async def _run_app(app: AppWrapper, scope: Scope, inbox: _Inbox, send: Send) -> None:
    last = ""

    async def noted(message: Any) -> None:
        nonlocal last
        last = "end" if _is_end(message) else message["type"]
        await send(message)

    try:
        await app(scope, inbox.get, noted, trio.to_thread.run_sync, trio.from_thread.run)
    except h11.LocalProtocolError as error:  # our answer is none, or the client broke the rules
        log.warning("request failed", path=scope.get("path"), error=str(error))
    except Exception as error:
        if last != "end":  # else it has answered, and has logged what it raises once more
            log.error("request failed", path=scope.get("path"), exc_info=error)
    await inbox.end()
    await send(None)


def _is_end(message: Any) -> bool:
    return message["type"] == "http.response.body" and not message.get("more_body", False)


def _messages(error: BaseException) -> list[str]:
    """What the errors in a group say, however deep."""
    if not isinstance(error, BaseExceptionGroup):
        return [str(error)]
    return [text for inner in error.exceptions for text in _messages(inner)]


def _address(name: Any) -> tuple[str, int] | None:
    return (name[0], name[1]) if isinstance(name, tuple) else None
