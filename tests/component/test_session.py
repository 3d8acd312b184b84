"""The feed on a server that knows nothing of our extension: message by message."""

from typing import Any

import trio
import trio.testing

from peepsd.core.happenings import SnapshotRequested
from peepsd.feed.framing import Framing, framing_of, unframe
from peepsd.feed.modes import INTROSPECT, OBSERVER, Path
from peepsd.feed.pb import introspection_pb2 as pb
from peepsd.feed.session import serve

from ..support.feed_server import FeedServer

START_EVENTS = bytes.fromhex("0a020801100b1802")


class Wire:
    """Both ends of an ASGI WebSocket."""

    def __init__(self, extensions: dict[str, Any] | None = None) -> None:
        self.scope: dict[str, Any] = {"type": "websocket", "query_string": b"", "headers": []}
        if extensions is not None:
            self.scope["extensions"] = extensions
        self._to_app, self.receive = trio.open_memory_channel[dict[str, Any]](10)
        self._from_app, self.sent = trio.open_memory_channel[dict[str, Any]](100)
        self._to_app.send_nowait({"type": "websocket.connect"})

    async def send(self, message: Any) -> None:
        await self._from_app.send(message)

    def say(self, frame: bytes | str) -> None:
        key = "bytes" if isinstance(frame, bytes) else "text"
        self._to_app.send_nowait({"type": "websocket.receive", key: frame})

    def leave(self) -> None:
        self._to_app.send_nowait({"type": "websocket.disconnect", "code": 1006})

    async def next(self) -> dict[str, Any]:
        with trio.fail_after(20):
            return await self.sent.receive()


async def _serve(server: FeedServer, wire: Wire, path: Path) -> None:
    await serve(wire.scope, wire.receive.receive, wire.send, path, server.feed)


async def test_without_the_extension_each_frame_is_a_message() -> None:
    server = FeedServer()
    for path in (INTROSPECT, OBSERVER):
        wire = Wire()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_serve, server, wire, path)
            assert (await wire.next())["type"] == "websocket.accept"
            wire.say(START_EVENTS)
            kinds: list[str | None] = []
            while "state" not in kinds:
                message = await wire.next()
                assert message["type"] == "websocket.send"
                bare = framing_of(message["bytes"]) is Framing.BARE
                assert bare is (path is INTROSPECT)
                kinds += [
                    pb.ServerMessage.FromString(payload).WhichOneof("payload")
                    for payload in unframe(message["bytes"])
                ]
            assert kinds == ["runtime", "state"]
            server.publish(SnapshotRequested(1, 1, 1, 1))
            [payload] = unframe((await wire.next())["bytes"])
            assert pb.ServerMessage.FromString(payload).HasField("event")
            wire.leave()
        assert not server.feed.hub.has_observers


async def test_with_the_extension_frames_are_written_whole() -> None:
    server, wire = FeedServer(), Wire({"peeps.websocket.frames": {}})
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_serve, server, wire, INTROSPECT)
        await wire.next()
        message = await wire.next()
        assert message["type"] == "peeps.websocket.frames"
        assert message["data"][0] == 0x82
        wire.leave()


async def test_a_client_that_must_go_is_told_why() -> None:
    server, wire = FeedServer(), Wire()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_serve, server, wire, INTROSPECT)
        await wire.next()
        wire.say("hello?")
        while (message := await wire.next())["type"] == "websocket.send":
            pass
        assert message["type"] == "websocket.close"
        assert message["code"] == 1003
        assert "protobuf" in message["reason"]


async def test_a_client_that_takes_nothing_is_cut_off(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server, wire = FeedServer(), Wire()
    stuck = trio.Event()

    async def send(message: Any) -> None:
        if message["type"] == "websocket.send":
            stuck.set()
            await trio.sleep_forever()
        await wire.send(message)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve, wire.scope, wire.receive.receive, send, INTROSPECT, server.feed)
        await wire.next()
        await stuck.wait()
        began = trio.current_time()
        message = await wire.sent.receive()
        assert trio.current_time() - began == server.feed.hub.limits.stall_s
        assert (message["type"], message["code"]) == ("websocket.close", 1013)
