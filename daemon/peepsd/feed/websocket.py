"""A WebSocket client on trio streams: wsproto decides, this moves bytes.

Own rather than a library's, for one reason: every way of ending closes the socket at once, which
a daemon that dials for weeks needs. Refuses to know what is in the frames.
"""

import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

import trio
import wsproto
from wsproto.connection import ConnectionState
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

_RECEIVE_BYTES = 64 * 1024
_PORTS = {"ws": 80, "wss": 443}
_GOODBYE_S = 1.0
_REFUSAL_BYTES = 4096
_KEEPALIVE = {
    "TCP_KEEPIDLE": 30,
    "TCP_KEEPINTVL": 10,
    "TCP_KEEPCNT": 3,
    "TCP_USER_TIMEOUT": 30_000,
}
"""Seconds, but for the last: milliseconds."""

Headers = Sequence[tuple[bytes, bytes]]


class BadUrl(ValueError):
    """No ws:// or wss:// URL."""


@dataclass(eq=False)
class Rejected(Exception):
    """The server answered the upgrade with another status."""

    status: int
    body: bytes
    """As much as says why."""


@dataclass(eq=False)
class Closed(Exception):
    """The connection ended; code None: without a word."""

    code: int | None
    reason: str


def parse_url(url: str) -> SplitResult:
    """The parts of a WebSocket URL. Raises BadUrl."""
    try:
        parts = urlsplit(url)
        (parts.hostname or "").encode("idna")  # as the resolver does, which raises what this does
        is_usable = (
            parts.scheme in _PORTS
            and bool(parts.hostname)
            and parts.port != 0
            and all("!" <= c <= "~" for c in parts.path + parts.query)
        )
    except ValueError:
        is_usable = False
    if not is_usable:
        raise BadUrl(url)
    return parts


def shown(url: str) -> str:
    """A URL for messages, logs and graphs: without user, query and fragment, where secrets are."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


class WebSocket:
    """An open connection. One task may receive while others send."""

    def __init__(self, stream: trio.abc.Stream, local_address: str, max_message_bytes: int) -> None:
        self.local_address = local_address
        self._stream = stream
        self._protocol = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
        self._max_message_bytes = max_message_bytes
        self._messages: deque[bytes | str] = deque()
        self._parts: list[bytes | str] = []
        self._parts_size = 0
        self._closed: Closed | None = None
        self._is_open = False
        self._status, self._refusal = 0, b""
        self._send_lock = trio.Lock()

    async def send(self, frame: bytes) -> None:
        """Send one binary frame. Raises Closed."""
        await self._send(BytesMessage(data=frame))

    async def receive(self) -> bytes | str:
        """The next message. Raises Closed. Lets others run each time."""
        if self._messages:
            await trio.lowlevel.checkpoint()
        while not self._messages:
            if self._closed is not None:
                raise self._closed
            await self._read()
        return self._messages.popleft()

    async def _open(self, host: str, target: str, headers: Headers) -> None:
        request = Request(host=host, target=target, extra_headers=list(headers))
        await self._send(request)
        while not self._is_open:
            if self._closed is not None:
                raise Rejected(self._status, self._refusal) if self._status else self._closed
            await self._read()

    async def _say_goodbye(self) -> None:
        if self._protocol.state is ConnectionState.OPEN:
            with trio.move_on_after(_GOODBYE_S) as scope:
                scope.shield = True
                with suppress(Closed):
                    await self._send(CloseConnection(code=1000))

    async def _send(self, event: Event) -> None:
        async with self._send_lock:
            try:
                await self._stream.send_all(self._protocol.send(event))
            except (trio.BrokenResourceError, trio.ClosedResourceError, LocalProtocolError):
                raise self._closed or Closed(None, "the connection broke") from None

    async def _read(self) -> None:
        try:
            data = await self._stream.receive_some(_RECEIVE_BYTES)
            self._protocol.receive_data(bytes(data) or None)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._closed = self._closed or Closed(None, "the connection broke")
            return
        except RemoteProtocolError as exc:
            self._closed = Closed(None, f"it does not speak WebSocket: {exc}")
            return
        for event in self._protocol.events():
            await self._handle(event)
        if not data:
            self._closed = self._closed or Closed(None, "the connection broke")

    async def _handle(self, event: Event) -> None:
        match event:
            case AcceptConnection():
                self._is_open = True
            case RejectConnection():
                self._status = event.status_code
                if not event.has_body:
                    raise Rejected(self._status, b"")
            case RejectData():
                self._refusal += event.data
                if event.body_finished or len(self._refusal) > _REFUSAL_BYTES:
                    raise Rejected(self._status, self._refusal[:_REFUSAL_BYTES])
            case Ping():
                await self._send(event.response())
            case CloseConnection() if self._protocol.state is ConnectionState.OPEN:
                # Not said by the server: what came is no WebSocket frame (RFC 6455 section 7.1.7).
                self._closed = Closed(None, f"it does not speak WebSocket: {event.reason}")
                await self._send(event)
            case CloseConnection():
                self._closed = self._closed or Closed(int(event.code), event.reason or "")
                if self._protocol.state is ConnectionState.REMOTE_CLOSING:
                    await self._send(event.response())
            case BytesMessage() | TextMessage():
                self._take(event)

    def _take(self, event: BytesMessage | TextMessage) -> None:
        self._parts.append(bytes(event.data) if isinstance(event, BytesMessage) else event.data)
        self._parts_size += len(event.data)
        if self._parts_size > self._max_message_bytes:
            self._closed = Closed(None, f"a message is longer than {self._max_message_bytes} bytes")
            self._parts.clear()
        elif event.message_finished:
            empty = b"" if isinstance(event, BytesMessage) else ""
            self._messages.append(empty.join(self._parts))  # type: ignore[arg-type]
            self._parts, self._parts_size = [], 0


@asynccontextmanager
async def open_websocket(
    url: str, headers: Headers, *, max_message_bytes: int, connect_s: float
) -> AsyncIterator[WebSocket]:
    """A connection to `url`, closed for good at the end.

    Raises BadUrl, OSError, trio.TooSlowError, Rejected, or Closed while opening (also where TLS
    fails). `headers` must be such as HTTP allows.
    """
    parts = parse_url(url)
    port = parts.port or _PORTS[parts.scheme]
    host = parts.hostname or ""
    with trio.fail_after(connect_s):
        stream, local_address = await _connect(host, port, use_tls=parts.scheme == "wss")
    try:
        websocket = WebSocket(stream, local_address, max_message_bytes)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        with trio.fail_after(connect_s):
            await websocket._open(parts.netloc.rpartition("@")[2], target, headers)
        yield websocket
        await websocket._say_goodbye()
    finally:
        await trio.aclose_forcefully(stream)


async def _connect(host: str, port: int, *, use_tls: bool) -> tuple[trio.abc.Stream, str]:
    """A stream, and our end's address."""
    tcp = await trio.open_tcp_stream(host, port)
    _notice_death(tcp)
    name = tcp.socket.getsockname()
    local = f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"
    if not use_tls:
        return tcp, local
    context = ssl.create_default_context()
    tls = trio.SSLStream(tcp, context, server_hostname=host, https_compatible=True)
    try:
        await tls.do_handshake()
    except BaseException as exc:
        await trio.aclose_forcefully(tls)
        if isinstance(exc, trio.BrokenResourceError):
            raise Closed(None, f"TLS could not be agreed on: {exc.__cause__ or exc}") from None
        raise
    return tls, local


def _notice_death(stream: trio.SocketStream) -> None:
    """A machine that went down says no good-bye: let the kernel ask for it."""
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if hasattr(socket, name):
            stream.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
