"""Introspection servers of every sort that exists, made for the tests with trio-websocket.

Each behaves as its original was seen to on the wire; none shares code with peepsd's own.
"""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import trio
import trio_websocket
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, serve_websocket

from peepsd.feed.framing import prefixed
from peepsd.feed.pb import introspection_pb2 as pb

from .recordings import a_state

Handler = Callable[[WebSocketConnection], Awaitable[None]]
VERSION = pb.Version(version=1)


@asynccontextmanager
async def websocket_server(handler: Handler, port: int = 0) -> AsyncIterator[str]:
    """`handler(websocket)` for each client; gives the URL."""

    async def serve(request: WebSocketRequest) -> None:
        websocket = await request.accept()
        with suppress(ConnectionClosed):
            await handler(websocket)

    async with trio.open_nursery() as nursery:
        server: trio_websocket.WebSocketServer = await nursery.start(
            serve_websocket, serve, "127.0.0.1", port, None
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


def bare(message: bytes) -> bytes:
    return message


def binary(message: bytes) -> bytes:
    return prefixed([message])


def text(message: bytes) -> str:
    """One character a byte, as JavaScript mocks send it."""
    return prefixed([message]).decode("latin-1")


@dataclass
class Node:
    """A libp2p node behind some server."""

    name: str
    frame: Callable[[bytes], bytes | str]
    interval_s: float = 0.1
    heard: list[bytes] = field(default_factory=list)

    def runtime(self, *, with_settings: bool) -> bytes | str:
        runtime = pb.Runtime(implementation="go-libp2p", version="2", peer_id=self.name)
        if with_settings:
            runtime.retention_period_ms, runtime.send_state_interval_ms = 60_000, 2_000
        return self._framed(pb.ServerMessage(version=VERSION, runtime=runtime))

    def state(self) -> bytes | str:
        return self._framed(pb.ServerMessage(version=VERSION, state=a_state(1)))

    def response(self, id: int, error: str = "") -> bytes | str:
        result = pb.CommandResponse.ERR if error else pb.CommandResponse.OK
        response = pb.CommandResponse(id=id, result=result, error=error)
        return self._framed(pb.ServerMessage(version=VERSION, response=response))

    def _framed(self, message: pb.ServerMessage) -> bytes | str:
        return self.frame(message.SerializeToString())

    async def hear(self, websocket: WebSocketConnection) -> bytes:
        frame = await websocket.get_message()
        assert isinstance(frame, bytes)
        self.heard.append(frame)
        return frame

    async def push_states(self, websocket: WebSocketConnection) -> None:
        with suppress(ConnectionClosed):
            while True:
                await trio.sleep(self.interval_s)
                await websocket.send_message(self.state())

    # The sorts.

    async def pushing_signals(self, websocket: WebSocketConnection) -> None:
        """Pushes from connect and answers nothing (the JavaScript mock of 2020)."""
        await websocket.send_message(self.runtime(with_settings=True))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.push_states, websocket)
            with suppress(ConnectionClosed):
                while True:
                    await self.hear(websocket)
            nursery.cancel_scope.cancel()

    async def greeting_signals(self, websocket: WebSocketConnection) -> None:
        """Runtime without settings, then State; SEND_DATA is honoured (the Go server)."""
        await websocket.send_message(self.runtime(with_settings=False))
        await websocket.send_message(self.state())
        while True:
            signal = pb.ClientSignal.FromString(await self.hear(websocket))
            if signal.signal == pb.ClientSignal.SEND_DATA:
                await websocket.send_message(self.state())

    async def silent_commands(self, websocket: WebSocketConnection) -> None:
        """Silent until HELLO; a request is answered by its payload alone (the Go package)."""
        greeted = False
        while True:
            command = pb.ClientCommand.FromString(await self.hear(websocket))
            is_hello = command.command == pb.ClientCommand.HELLO
            if is_hello == greeted or (is_hello and not command.HasField("config")):
                await websocket.send_message(self.response(command.id, "hello, once, with config"))
            elif command.command == pb.ClientCommand.REQUEST:
                is_state = command.source == pb.ClientCommand.STATE
                await websocket.send_message(
                    self.state() if is_state else self.runtime(with_settings=False)
                )
            else:
                greeted = True
                await websocket.send_message(self.response(command.id))

    async def chatty_commands(self, websocket: WebSocketConnection) -> None:
        """Runtime before HELLO; a State only by push (the JavaScript mock of v-command)."""
        await websocket.send_message(self.runtime(with_settings=False))
        async with trio.open_nursery() as nursery:
            with suppress(ConnectionClosed):
                while True:
                    command = pb.ClientCommand.FromString(await self.hear(websocket))
                    await websocket.send_message(self.response(command.id))
                    if command.command == pb.ClientCommand.PUSH_ENABLE:
                        nursery.start_soon(self.push_states, websocket)
            nursery.cancel_scope.cancel()

    async def refusing_commands(self, websocket: WebSocketConnection) -> None:
        """Takes HELLO and refuses every request."""
        for n in itertools.count():
            command = pb.ClientCommand.FromString(await self.hear(websocket))
            error = "" if n == 0 else "not today"
            await websocket.send_message(self.response(command.id, error))

    async def strict_commands(self, websocket: WebSocketConnection) -> None:
        """Refuses whatever it is asked, HELLO first."""
        while True:
            command = pb.ClientCommand.FromString(await self.hear(websocket))
            await websocket.send_message(self.response(command.id, "no"))

    async def mute(self, websocket: WebSocketConnection) -> None:
        """Never says a word."""
        while True:
            await self.hear(websocket)

    async def hanging_up(self, websocket: WebSocketConnection) -> None:
        """Greets, and leaves when it is asked."""
        await websocket.send_message(self.runtime(with_settings=True))
        await self.hear(websocket)
        await websocket.aclose(1001, "going home")

    async def babbling(self, websocket: WebSocketConnection) -> None:
        """Greets, and answers with what is no message."""
        await websocket.send_message(self.runtime(with_settings=True))
        await self.hear(websocket)
        await websocket.send_message(b"\xff\xff\xff")
        await trio.sleep_forever()
