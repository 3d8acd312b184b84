"""The observer library against a live feed: pull, push, pause, reconnect."""

import json
import socket

import pytest
import trio
import trio.testing
import wsproto
import wsproto.events
from trio_websocket import WebSocketConnection

from peepsd.core import happenings as h
from peepsd.feed import client
from peepsd.feed.client import Connected, Lost, Received, Retry, Update, follow, observing
from peepsd.feed.configuration import Settings
from peepsd.feed.connection import FeedClosed, FeedUnavailable, UnreadableFrame, connected
from peepsd.feed.modes import PUSHABLE, Source
from peepsd.feed.pb import introspection_pb2 as pb

from ..support.feed_server import FeedServer, live_feed, until
from ..support.introspection_server import Node, binary, websocket_server
from ..support.recordings import a_state

FAST = Settings(send_state_interval_ms=50, retention_period_ms=60_000)
SLOW = Settings(send_state_interval_ms=60_000, retention_period_ms=60_000)


def url_of(server: FeedServer, path: str = "/introspect") -> str:
    return f"ws://127.0.0.1:{server.port}{path}"


def an_event(n: int) -> h.SnapshotRequested:
    return h.SnapshotRequested(1, n, 0, 1)


async def test_pull() -> None:
    async with live_feed(FAST) as server:
        server.connect("svc", 10)
        async with observing(url_of(server)) as feed:
            assert feed.runtime is not None
            assert feed.runtime.implementation == "peeps-python"
            states = [await feed.pull_state() for _ in range(3)]
            assert states[0].instant_ts < states[1].instant_ts < states[2].instant_ts
            assert states[0].subsystems.connections[0].peer_id == "svc-10"


async def test_push_pause_and_configure() -> None:
    async with live_feed(SLOW) as server, observing(url_of(server)) as feed:
        await feed.start(Source.EVENTS)
        await server.pushing(Source.EVENTS)
        server.publish(an_event(1))
        assert await next_event(feed.receive) == 1
        await feed.pause(Source.EVENTS)
        await feed.request_runtime()
        assert (await feed.receive()).message.HasField("runtime")
        server.publish(an_event(2))
        await feed.configure(interval_ms=700, retention_ms=9_000)
        runtime = (await feed.receive()).message.runtime
        assert (runtime.send_state_interval_ms, runtime.retention_period_ms) == (700, 9_000)
        assert feed.runtime == runtime
        await feed.unpause(Source.EVENTS)
        assert await next_event(feed.receive) == 2
        await feed.stop(Source.EVENTS)
        await until(lambda: not server.feed.hub.wants(Source.EVENTS))


async def next_event(receive: object) -> int:
    while True:
        received = await receive()  # type: ignore[operator]
        if received.message.event.type.name == "SnapshotRequested":
            return int(json.loads(received.message.event.content)["snapshot_id"])


async def test_both_framings_are_understood() -> None:
    async with live_feed(FAST) as server:
        for path in ("/introspect", "/observer?protocol=signal"):
            async with connected(url_of(server, path)) as connection:
                payload, message = await connection.receive()
                assert message.HasField("runtime")
                assert message.SerializeToString() == payload
                assert connection.frames_in == 1


SORTS = ["pushing_signals", "greeting_signals", "silent_commands", "chatty_commands"]


@pytest.mark.parametrize("sort", SORTS)
async def test_servers_of_every_sort_are_observed(sort: str) -> None:
    node = Node("QmNode", binary)
    async with websocket_server(getattr(node, sort)) as url, observing(url) as feed:
        assert feed.runtime is not None
        assert feed.runtime.peer_id == "QmNode"
        state = await feed.pull_state()
        assert state.instant_ts == a_state(1).instant_ts


@pytest.mark.parametrize("sort", [sort for sort in SORTS if sort != "silent_commands"])
async def test_servers_that_push_are_followed(sort: str) -> None:
    told: list[str] = []
    node = Node("QmNode", binary)
    async with websocket_server(getattr(node, sort)) as url:
        with trio.fail_after(20), trio.CancelScope() as scope:

            def tell(update: Update) -> None:
                if isinstance(update, Received):
                    told.append(str(update.message.WhichOneof("payload")))
                if "state" in told and "runtime" in told:
                    scope.cancel()

            await follow(url, PUSHABLE, tell)
    assert {"runtime", "state"} <= set(told)


async def test_observing_by_commands() -> None:
    async with live_feed(SLOW) as server:
        server.connect("svc", 10)
        async with observing(url_of(server, "/introspect?protocol=command")) as feed:
            await feed.start(Source.EVENTS)
            await server.pushing(Source.EVENTS)
            await feed.pause(Source.EVENTS)
            await feed.configure(interval_ms=700)
            while not (message := (await feed.receive()).message).response.HasField(
                "effective_config"
            ):
                pass
            assert message.response.effective_config.state_snapshot_interval_ms == 700
            server.publish(an_event(1))
            await feed.unpause(Source.EVENTS)
            assert await next_event(feed.receive) == 1
            await feed.stop(Source.EVENTS)
            await until(lambda: not server.feed.hub.wants(Source.EVENTS))


@pytest.mark.parametrize(
    ("sort", "words"),
    [("mute", "has not said who it is within 1 s"), ("strict_commands", "HELLO was refused: no")],
)
async def test_a_server_that_cannot_be_asked_is_told(
    sort: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "GREETING_S", 1.0)
    async with websocket_server(getattr(Node("QmNode", binary), sort)) as url:
        with trio.fail_after(20):
            with pytest.raises(FeedUnavailable, match=words):
                async with observing(url):
                    pass
            with pytest.raises(FeedUnavailable, match=words):
                await follow(url, PUSHABLE, lambda _update: None, wait_for_server=False)


async def test_following_goes_on_after_the_server_was_away() -> None:
    updates: list[Update] = []
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    listener.close()
    url = f"ws://127.0.0.1:{port}/introspect"

    def kinds() -> list[type]:
        return [type(update) for update in updates]

    async with trio.open_nursery() as nursery:
        nursery.start_soon(follow, url, PUSHABLE, updates.append)
        await until(lambda: Lost in kinds())
        for _ in range(2):
            updates.clear()
            async with live_feed(FAST, port=port):
                await until(lambda: Connected in kinds() and kinds().count(Received) > 5)
            await until(lambda: kinds()[-1] is Lost)
            lost = updates[-1]
            assert isinstance(lost, Lost)
            assert lost.reason
            assert 0 < lost.retry_in_s <= 10
        nursery.cancel_scope.cancel()


async def test_the_first_attempt_may_be_the_last() -> None:
    with pytest.raises(FeedUnavailable) as caught:
        await follow("ws://127.0.0.1:1/introspect", [], lambda _update: None, wait_for_server=False)
    assert caught.value.hint


@pytest.mark.parametrize("url", ["http://x/", "ws://", "ws://[", "nonsense", "ws://h:0/"])
async def test_what_is_no_address_is_said_so(url: str) -> None:
    with pytest.raises(FeedUnavailable, match="no WebSocket address"):
        async with connected(url):
            pass


async def test_a_server_without_tls_is_told() -> None:
    async with live_feed(FAST) as server:
        with pytest.raises(FeedUnavailable, match="TLS"):
            async with connected(url_of(server).replace("ws:", "wss:")):
                pass


@pytest.mark.parametrize("token", ["a\nb", " a", "a\x00"])
async def test_a_token_that_no_header_can_hold_is_told(token: str) -> None:
    with pytest.raises(FeedUnavailable, match="token cannot be sent"):
        async with connected("ws://127.0.0.1:1/introspect", token):
            pass


async def test_a_refused_upgrade_is_told_in_the_words_of_the_server() -> None:
    async with live_feed(FAST) as server:
        with pytest.raises(FeedUnavailable) as refused:
            async with connected(url_of(server, "/nowhere")):
                pass
    assert "refused with status 404: there is no WebSocket at /nowhere" in refused.value.message
    assert refused.value.hint == "observers connect to /introspect or /observer"


async def test_a_token_that_is_missing_or_wrong_is_asked_for() -> None:
    async with live_feed(FAST, token="t" * 20) as server:
        for token in (None, "wrong"):
            with pytest.raises(FeedUnavailable, match="401: a token is needed") as refused:
                async with connected(url_of(server), token):
                    pass
            assert "--token" in (refused.value.hint or "")
        async with connected(url_of(server), "t" * 20) as connection:
            await connection.receive()


@pytest.mark.parametrize("body", [b"", b"go away", b"[]", b'{"error": 1}', b"x" * 100_000])
async def test_a_refusal_of_any_other_server_is_told_with_its_status(body: bytes) -> None:
    async def refuse(stream: trio.SocketStream) -> None:
        head = f"HTTP/1.1 403 Forbidden\r\ncontent-length: {len(body)}\r\n\r\n"
        await stream.receive_some(4096)
        await stream.send_all(head.encode() + body[:50_000])  # of the longest, not all
        await stream.send_eof()

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, refuse, listeners)
        with pytest.raises(FeedUnavailable, match="refused with status 403"):
            async with connected(f"ws://127.0.0.1:{port}/"):
                pass
        nursery.cancel_scope.cancel()


async def test_a_close_is_told_with_its_reason() -> None:
    async with live_feed(FAST) as server:
        with pytest.raises(FeedClosed, match="protocol= must be"):
            async with connected(url_of(server, "/observer?protocol=x")) as connection:
                await connection.receive()


@pytest.mark.parametrize(
    ("code", "words"),
    [(1001, "closed by the server with 1001: it is stopping"), (None, "the connection broke")],
)
async def test_an_end_without_reason_is_told_in_words(code: int | None, words: str) -> None:
    async def leave(websocket: WebSocketConnection) -> None:
        if code is None:
            await trio.aclose_forcefully(websocket._stream)
        else:
            await websocket.aclose(code)

    async with websocket_server(leave) as url, connected(url) as connection:
        with pytest.raises(FeedClosed) as closed:
            await connection.receive()
    assert closed.value.message.endswith(words)


async def test_a_broken_frame_is_not_taken_for_a_close_by_the_server() -> None:
    heard: list[wsproto.events.Event] = []

    async def serve(stream: trio.SocketStream) -> None:
        protocol = wsproto.WSConnection(wsproto.ConnectionType.SERVER)
        async for data in stream:
            protocol.receive_data(data)
            for event in protocol.events():
                heard.append(event)
                if isinstance(event, wsproto.events.Request):
                    await stream.send_all(protocol.send(wsproto.events.AcceptConnection()))
                    await stream.send_all(b"\x8f\x00")  # opcode 15

    async with trio.open_nursery() as nursery:
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        port = listener.socket.getsockname()[1]
        with pytest.raises(FeedClosed, match="does not speak WebSocket"):
            async with connected(f"ws://127.0.0.1:{port}/") as connection:
                await connection.receive()
        await until(lambda: len(heard) > 1)
        nursery.cancel_scope.cancel()
    close = heard[1]
    assert isinstance(close, wsproto.events.CloseConnection)
    assert close.code == 1002


@pytest.mark.parametrize("framing", ["one frame", "many frames"])
async def test_whoever_floods_us_lets_others_run(framing: str) -> None:
    from peepsd.feed.framing import prefixed

    from ..support.introspection_server import scripted_server

    message = pb.ServerMessage(event=pb.Event(ts=1)).SerializeToString()
    frames = [prefixed([message] * 200)] if framing == "one frame" else [message] * 200
    async with scripted_server(frames) as url, connected(url) as connection:
        for _ in range(200):
            with trio.testing.assert_checkpoints():
                received, _ = await connection.receive()
            assert received == message


async def test_a_large_frame_is_read_whole() -> None:
    from peepsd.feed.framing import prefixed

    from ..support.introspection_server import scripted_server

    messages = [
        pb.ServerMessage(event=pb.Event(ts=n, content="x" * 100_000)).SerializeToString()
        for n in range(1, 4)
    ]
    async with scripted_server([prefixed(messages)]) as url, connected(url) as connection:
        assert [(await connection.receive())[0] for _ in messages] == messages


@pytest.mark.parametrize("frame", [b"\x01\x00\x00\x00torn", b"\xff\xff\xff", "€"])
async def test_what_is_not_of_this_protocol_is_told(frame: bytes | str) -> None:
    from ..support.introspection_server import scripted_server

    async with scripted_server([frame]) as url:
        with pytest.raises(UnreadableFrame):
            async with connected(url) as connection:
                await connection.receive()


def test_waits_double_up_to_a_limit_and_begin_again() -> None:
    retry = Retry()
    waits = [retry.next_s() for _ in range(12)]
    assert all(0.5 * 0.25 * 2**n <= wait <= 0.25 * 2**n for n, wait in enumerate(waits[:5]))
    assert all(5 <= wait <= 10 for wait in waits[6:])
    retry.lasted(9.0)
    assert retry.next_s() >= 5
    retry.lasted(10.0)
    assert retry.next_s() <= 0.25


def test_a_signal_is_made_of_names_that_both_sides_know() -> None:
    assert {s.name: s.value for s in Source} == dict(pb.ClientSignal.DataSource.items())
    assert {s.name: s.value for s in Source} == dict(pb.ClientCommand.Source.items())
