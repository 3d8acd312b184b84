"""Observers of every temper for half a minute: nothing is sent twice, nothing is left behind."""

import random
import tracemalloc

import pytest
import trio
from wsproto.utilities import LocalProtocolError

from peepsd.core import happenings as h
from peepsd.feed.configuration import Settings
from peepsd.feed.hub import Limits
from peepsd.feed.modes import Source
from peepsd.feed.pb import introspection_pb2 as pb

from ..support.feed_server import FeedServer, live_feed, until
from ..support.observer_client import Closed, ObserverClient, observer

SECONDS = 30.0
OBSERVERS = 60
PATHS = ["/introspect", "/observer", "/observer?protocol=signal", "/introspect?protocol=command"]
Signal, Command = pb.ClientSignal, pb.ClientCommand


async def _read(client: ObserverClient, instants: list[int]) -> None:
    """Read for a while; States rise, whatever was asked."""
    with trio.move_on_after(random.uniform(0, 0.3)):
        while True:
            message = await client.message(60)
            assert message.WhichOneof("payload") is not None
            if message.HasField("state"):
                assert not instants or message.state.instant_ts > instants[-1]
                instants.append(message.state.instant_ts)


async def _speak(client: ObserverClient) -> None:
    for _ in range(random.randrange(6)):
        source = random.choice(list(Source))
        if random.random() < 0.7:
            content = random.choice(["", "{}", '{"sendStateIntervalMs": 700}', "{"])
            await client.signal(random.choice(Signal.Signal.values()), source, content)
        else:
            await client.command(
                random.randrange(9), random.choice(Command.Command.values()), source
            )
    if random.random() < 0.02:
        await client.send(random.randbytes(random.randrange(40)))


async def _observe_for_ever(server: FeedServer, seen: list[int]) -> None:
    while True:
        try:
            async with observer(server.port, random.choice(PATHS)) as client:
                instants: list[int] = []
                for _ in range(random.randrange(1, 30)):
                    await _speak(client)
                    if random.random() < 0.8:
                        await _read(client, instants)
                    else:
                        await trio.sleep(random.uniform(0, 0.5))  # it does not read for a while
                if random.random() < 0.5:
                    await client.leave()
                seen[0] += len(instants)
        except (Closed, LocalProtocolError, trio.BrokenResourceError, trio.ClosedResourceError):
            pass


async def _happen_for_ever(server: FeedServer) -> None:
    peers = [server.connect("svc", n) for n in range(20)]
    for snapshot_id in range(1_000_000):
        peer = random.choice(peers)
        peer.bytes_in += 1_000
        server.publish(h.ProcessTimedOut(1, snapshot_id, peer.proc_key, peer.connection_id))
        if snapshot_id % 20 == 0:
            span = h.Span(peer.proc_key, peer.connection_id, "responded", 1)
            server.publish(h.SnapshotCompleted(1, snapshot_id, 1.0, 1, 0, 0, 0, (span,)))
            server.disconnect(peer)
            peers.remove(peer)
            peers.append(server.connect("svc", 1_000 + snapshot_id))
        await trio.sleep(0.005)


@pytest.mark.soak
async def test_observers_of_every_temper(capsys: pytest.CaptureFixture[str]) -> None:
    limits = Limits(max_backlog_bytes=50_000, stall_s=2.0)
    settings = Settings(send_state_interval_ms=100, retention_period_ms=5_000)
    seen = [0]
    tracemalloc.start()
    try:
        async with live_feed(settings, limits) as server:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_happen_for_ever, server)
                for _ in range(OBSERVERS):
                    nursery.start_soon(_observe_for_ever, server, seen)
                await trio.sleep(SECONDS / 3)
                before = tracemalloc.get_traced_memory()[0]
                await trio.sleep(SECONDS * 2 / 3)
                after = tracemalloc.get_traced_memory()[0]
                nursery.cancel_scope.cancel()
            await until(lambda: not server.feed.hub.has_observers)
            assert server.feed.statistics()["queued_bytes"] == 0
    finally:
        tracemalloc.stop()
    assert seen[0] > 100
    log = "".join(capsys.readouterr())
    assert "failed" not in log, log[-5_000:]
    assert after < before + 20_000_000
