"""Observers that are slow, stuck, malformed, too many or too loud: each harms only itself."""

import json
import socket

import httpx
import pytest
import trio
import trio.lowlevel

from peepsd.core import happenings as h
from peepsd.feed.configuration import Settings
from peepsd.feed.hub import Limits
from peepsd.feed.modes import Source
from peepsd.feed.pb import introspection_pb2 as pb

from ..support.feed_server import FeedServer, live_feed, until
from ..support.observer_client import ObserverClient, Rejected, observer

Signal = pb.ClientSignal
SLOW = Settings(send_state_interval_ms=60_000, retention_period_ms=60_000)


def an_event(n: int, size: int = 0) -> h.IngestProblem:
    return h.IngestProblem(1_700_000_000_000_000_000, "decode_error", "x" * size, snapshot_id=n)


def number(message: pb.ServerMessage) -> int:
    return int(json.loads(message.event.content)["snapshot_id"])


async def subscribed(server: FeedServer, client: ObserverClient) -> None:
    await client.kinds(2)
    await client.signal(Signal.START_PUSH_EMITTER, Signal.EVENTS)
    await client.signal(Signal.SEND_DATA, Signal.RUNTIME)
    await client.next("runtime")


async def test_a_stuck_observer_loses_its_own_backlog_and_delays_nobody() -> None:
    limits = Limits(max_backlog_bytes=100_000)
    async with (
        live_feed(SLOW, limits) as server,
        observer(server.port) as stuck,
        observer(server.port) as other,
    ):
        stuck.stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await subscribed(server, stuck)
        await subscribed(server, other)
        for n in range(500):  # ten megabytes: more than any socket buffers
            server.publish(an_event(n, 20_000))
            assert number(await other.message()) == n
        statistics = server.feed.statistics()
        assert statistics["queued_bytes"] <= 100_000
        assert statistics["discarded_messages"] > 100
        # It reads again: the gap is announced, in its place, and what is left is in order.
        seen, announced = [], 0
        while not seen or seen[-1] != 499:
            message = await stuck.message()
            if message.HasField("notice"):
                announced += message.notice.discarded_events
            else:
                seen.append(number(message))
        assert announced + len(seen) == 500
        assert announced == server.feed.statistics()["discarded_messages"]
        assert seen == sorted(seen)


async def test_a_slow_observer_gets_everything_that_its_backlog_holds() -> None:
    async with live_feed(SLOW) as server, observer(server.port) as client:
        await subscribed(server, client)
        for n in range(500):
            server.publish(an_event(n))
        for n in range(500):
            if n % 100 == 0:
                await trio.sleep(0.02)
            assert number(await client.message()) == n


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\xff" * 20, 1007),
        (b"GET / HTTP/1.1\r\n", 1007),
        (b'{"type": "snapshot_request"}', 1007),
        ("what are you doing?", 1003),
        (b"\x0a" + b"\x00" * 70_000, 1009),
    ],
)
async def test_a_malformed_message_ends_its_connection_with_a_reason(
    frame: bytes | str, code: int
) -> None:
    async with live_feed(SLOW) as server, observer(server.port) as other:
        async with observer(server.port) as client:
            await client.send(frame)
            closed = await client.closed()
            assert closed.code == code
            assert closed.reason
        await other.kinds(2)
        await other.signal(Signal.SEND_DATA, Signal.RUNTIME)
        assert (await other.message()).HasField("runtime")


async def test_a_flood_of_signals_ends_the_connection() -> None:
    async with live_feed(SLOW) as server, observer(server.port) as client:
        try:
            for _ in range(4_000):
                await client.signal(Signal.SEND_DATA, Signal.STATE)
        except trio.BrokenResourceError:
            pass  # cut off while still sending
        else:
            closed = await client.closed()
            assert closed.code == 1008
            assert "messages a second" in closed.reason
        await until(lambda: not server.feed.hub.has_observers)


@pytest.mark.parametrize("path", ["/introspect", "/observer"])
async def test_another_sites_page_is_refused(path: str) -> None:
    async with live_feed(SLOW) as server:
        for headers in (
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": f"http://127.0.0.1:{server.port + 1}"},
            {"Sec-Fetch-Site": "cross-site"},
        ):
            with pytest.raises(Rejected) as refused:
                async with observer(server.port, path, headers):
                    pass
            assert refused.value.status == 403
            assert "open peepsd's own page" in json.loads(refused.value.body)["error"]
        own = {"Origin": f"http://localhost:{server.port}"}
        async with observer(server.port, path, own) as client:
            await client.next("runtime")


async def test_a_message_that_is_too_long_is_told_what_it_may_be() -> None:
    for size in (65_537, 200_000):
        async with live_feed(SLOW) as server, observer(server.port) as client:
            await client.send(b"\x0a" * size)
            closed = await client.closed()
            assert (closed.code, closed.reason) == (
                1009,
                "a message is at most 65536 bytes; send less",
            )


async def test_a_websocket_at_another_path_is_told_where_observers_connect() -> None:
    async with live_feed(SLOW) as server:
        for path in ("/", "/introspection", "/api/jump-now", "/observer/"):
            with pytest.raises(Rejected) as refused:
                async with observer(server.port, path):
                    pass
            assert refused.value.status == 404
            said = json.loads(refused.value.body)
            assert said["error"] == f"there is no WebSocket at {path}"
            assert "/introspect or /observer" in said["hint"]


async def test_a_request_without_an_upgrade_is_told_what_is_there() -> None:
    async with live_feed(SLOW) as server, httpx.AsyncClient() as client:
        for path in ("/introspect", "/observer"):
            answer = await client.get(f"http://127.0.0.1:{server.port}{path}")
            assert (answer.status_code, answer.headers["upgrade"]) == (426, "websocket")
            assert "peeps watch" in answer.json()["hint"]


async def test_an_unknown_protocol_is_refused_with_a_reason() -> None:
    target = "/observer?protocol=carrier-pigeon"
    async with live_feed(SLOW) as server, observer(server.port, target) as client:
        closed = await client.closed()
        assert (closed.code, closed.reason) == (1008, "?protocol= must be signal or command")


async def test_one_too_many_is_asked_to_come_later() -> None:
    async with live_feed(SLOW, Limits(max_observers=2)) as server:
        async with observer(server.port) as one, observer(server.port) as two:
            await one.kinds(2)
            await two.kinds(2)
            async with observer(server.port) as three:
                assert (await three.closed()).code == 1013
        await until(lambda: not server.feed.hub.has_observers)
        async with observer(server.port) as four:
            assert await four.kinds(2) == ["runtime", "state"]


@pytest.mark.parametrize("how", ["close frame", "reset", "end of file"])
async def test_one_who_leaves_is_forgotten(how: str) -> None:
    async with live_feed(SLOW) as server:
        async with observer(server.port) as client:
            await client.kinds(2)
            if how == "close frame":
                await client.leave()
                assert (await client.closed()).code == 1000
            elif how == "end of file":
                await client.stream.send_eof()
                await until(lambda: not server.feed.hub.has_observers)
        await until(lambda: not server.feed.hub.has_observers)


async def test_200_observers_at_once_each_get_everything() -> None:
    events = 20

    async def observe(server: FeedServer, done: list[int], path: str) -> None:
        async with observer(server.port, path) as client:
            await client.next("state", 60)
            await client.signal(Signal.START_PUSH_EMITTER, Signal.EVENTS)
            await client.signal(Signal.SEND_DATA, Signal.RUNTIME)
            await client.next("runtime", 60)
            done[0] += 1
            for n in range(events):
                assert number(await client.next("event", 60)) == n
            done[1] += 1

    async with live_feed(SLOW) as server:
        done = [0, 0]
        async with trio.open_nursery() as nursery:
            for n in range(200):
                path = "/introspect" if n % 2 else "/observer?protocol=signal"
                nursery.start_soon(observe, server, done, path)
            await until(lambda: done[0] == 200, 60)
            assert server.feed.statistics()["observers"] == 200
            assert server.feed.hub.wants(Source.EVENTS)
            for n in range(events):
                server.publish(an_event(n))
                await trio.lowlevel.checkpoint()
        assert done == [200, 200]
        assert server.feed.statistics()["discarded_messages"] == 0
