"""A WebSocket client of the tests' own: wsproto over a trio socket, nothing of peepsd's client.

Reads only when asked to, so that it can be slow or stuck.
"""

import math
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
import wsproto
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Ping,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)

from peepsd.feed.framing import unframe
from peepsd.feed.pb import introspection_pb2 as pb

PATIENCE_S = 20.0


class Closed(Exception):
    """The server ended the connection."""

    def __init__(self, code: int | None, reason: str | None) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason or ""


class Rejected(Exception):
    """The server refused the upgrade."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"{status}: {body!r}")
        self.status = status
        self.body = body


class ObserverClient:
    """One connection. Messages come decoded by `message`, frames as they are by `frame`."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._ws = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
        self._frames: deque[bytes | str] = deque()
        self._messages: deque[pb.ServerMessage] = deque()
        self._partial: list[bytes | str] = []
        self._closed: Closed | None = None
        self._accepted = False
        self._rejected, self._refusal = 0, b""

    async def handshake(self, host: str, target: str, headers: dict[str, str]) -> None:
        extra = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self.stream.send_all(
            self._ws.send(Request(host=host, target=target, extra_headers=extra))
        )
        with trio.fail_after(PATIENCE_S):
            while not self._accepted:
                await self._read()

    async def send(self, data: bytes | str) -> None:
        event = BytesMessage(data) if isinstance(data, bytes) else TextMessage(data)
        await self.stream.send_all(self._ws.send(event))

    async def signal(
        self,
        signal: "pb.ClientSignal.Signal | int",
        source: "pb.ClientSignal.DataSource | int" = 0,
        content: str = "",
    ) -> None:
        message = pb.ClientSignal(version=pb.Version(version=1), content=content)
        message.signal = signal  # type: ignore[assignment]
        message.data_source = source  # type: ignore[assignment]
        await self.send(message.SerializeToString())

    async def command(
        self,
        id: int,
        command: "pb.ClientCommand.Command | int",
        source: "pb.ClientCommand.Source | int" = 0,
        config: pb.Configuration | None = None,
    ) -> None:
        message = pb.ClientCommand(id=id, config=config)
        message.command = command  # type: ignore[assignment]
        message.source = source  # type: ignore[assignment]
        await self.send(message.SerializeToString())

    async def frame(self, patience_s: float = PATIENCE_S) -> bytes | str:
        """The next frame. Raises Closed; trio.TooSlowError if none comes."""
        with trio.fail_after(patience_s):
            while not self._frames:
                if self._closed is not None:
                    raise self._closed
                await self._read()
        return self._frames.popleft()

    async def message(self, patience_s: float = PATIENCE_S) -> pb.ServerMessage:
        """The next message, of whichever framing."""
        while not self._messages:
            frame = await self.frame(patience_s)
            self._messages.extend(map(pb.ServerMessage.FromString, unframe(frame)))
        return self._messages.popleft()

    async def next(self, kind: str, patience_s: float = PATIENCE_S) -> pb.ServerMessage:
        """The next message of one kind; others are passed over."""
        with trio.fail_after(patience_s):
            while (message := await self.message(math.inf)).WhichOneof("payload") != kind:
                pass
        return message

    async def kinds(self, count: int) -> list[str]:
        """What the next `count` messages are."""
        return [str((await self.message()).WhichOneof("payload")) for _ in range(count)]

    async def drain(self, quiet_s: float = 0.3) -> list[pb.ServerMessage]:
        """Everything until nothing has come for `quiet_s`."""
        messages = []
        try:
            while True:
                messages.append(await self.message(quiet_s))
        except trio.TooSlowError:
            return messages

    async def closed(self) -> Closed:
        """Wait for the server to end the connection; what it sends before is dropped."""
        try:
            while True:
                await self.frame()
        except Closed as exc:
            return exc

    async def leave(self, code: int = 1000) -> None:
        await self.stream.send_all(self._ws.send(CloseConnection(code)))

    async def _read(self) -> None:
        data = await self.stream.receive_some(65536)
        self._ws.receive_data(data or None)
        for event in self._ws.events():
            await self._handle(event)

    async def _handle(self, event: wsproto.events.Event) -> None:
        if isinstance(event, AcceptConnection):
            self._accepted = True
        elif isinstance(event, RejectConnection):
            self._rejected = event.status_code
        elif isinstance(event, RejectData):
            self._refusal += event.data
            if event.body_finished:
                raise Rejected(self._rejected, self._refusal)
        elif isinstance(event, Ping):
            await self.stream.send_all(self._ws.send(event.response()))
        elif isinstance(event, CloseConnection):
            self._closed = self._closed or Closed(event.code, event.reason)
            if self._ws.state is wsproto.ConnectionState.REMOTE_CLOSING:
                await self.stream.send_all(self._ws.send(event.response()))
        elif isinstance(event, BytesMessage | TextMessage):
            self._partial.append(event.data)
            if event.message_finished:
                empty = b"" if isinstance(event, BytesMessage) else ""
                self._frames.append(empty.join(self._partial))  # type: ignore[arg-type]
                self._partial.clear()


@asynccontextmanager
async def observer(
    port: int,
    target: str = "/introspect",
    headers: dict[str, str] | None = None,
    name: str = "127.0.0.1",
) -> AsyncIterator[ObserverClient]:
    """A client connected to 127.0.0.1:port (under some name), gone for good afterwards."""
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    client = ObserverClient(stream)
    try:
        await client.handshake(f"{name}:{port}", target, headers or {})
        yield client
    finally:
        await trio.aclose_forcefully(stream)
