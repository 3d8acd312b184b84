"""A feed behind a real HTTP server on port 0, without the rest of the daemon."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import trio
from starlette.applications import Starlette

from peepsd.core.happenings import (
    Bus,
    Happening,
    ProcessConnected,
    ProcessDisconnected,
    ProcessIdentified,
)
from peepsd.core.registry import Peer, Registry
from peepsd.feed.configuration import Settings
from peepsd.feed.hub import Limits
from peepsd.feed.live import Identity, LiveFeed
from peepsd.feed.modes import Source
from peepsd.feed.routes import websocket_routes
from peepsd.feed.session import Feed
from peepsd.http import server
from peepsd.http.guard import Guard, Policy

IDENTITY = Identity(version="1.2.3", peer_id="testhost-99", platform="TestOS")
START_NS = 1_700_000_000_000_000_000


async def until(condition: Callable[[], bool], patience_s: float = 20.0) -> None:
    """Wait for a condition that nothing announces."""
    with trio.fail_after(patience_s):
        while not condition():  # noqa: ASYNC110 (what is waited for has no event)
            await trio.sleep(0.005)


class FeedServer:
    """A live feed with a bus and a registry that the test moves by hand."""

    def __init__(self, settings: Settings | None = None, limits: Limits | None = None) -> None:
        self.bus = Bus()
        self.registry = Registry()
        self.feed = LiveFeed(self.bus, self.registry, IDENTITY, settings=settings, limits=limits)
        self.port = 0

    def publish(self, happening: Happening) -> None:
        self.bus.publish(happening)

    async def pushing(self, source: Source) -> None:
        """Until some observer is being pushed this source."""
        await until(lambda: self.feed.hub.wants(source))

    def connect(self, process: str = "svc", pid: int | None = 10) -> Peer:
        """A process connects and says who it is."""
        peer = self.registry.new_peer(
            local_address="127.0.0.1:9119",
            remote_address="127.0.0.1:50000",
            now_ns=START_NS,
            ask=lambda _request: True,
        )
        self.registry.admit(peer)
        self.publish(ProcessConnected(START_NS, peer.connection_id, peer.remote_address))
        if pid is not None:
            self.registry.identify(peer, process, pid)
            self.publish(
                ProcessIdentified(START_NS, peer.connection_id, peer.proc_key, process, pid)
            )
        return peer

    def disconnect(self, peer: Peer, reason: str = "closed by peer") -> None:
        self.registry.disconnect(peer.connection_id)
        self.publish(ProcessDisconnected(START_NS, peer.connection_id, peer.proc_key, reason))


@asynccontextmanager
async def serving(feed: Feed, port: int = 0, token: str | None = None) -> AsyncIterator[int]:
    """The port on which this feed is served, guarded as the daemon's."""
    listeners = await server.listen("127.0.0.1", port)
    _, bound = server.bound_address(listeners)
    policy = Policy.listening_on("127.0.0.1", bound, token=token)
    app = Guard(Starlette(routes=websocket_routes(feed)), policy)
    serve = partial(server.serve, max_connections=300, grace_s=0.2)
    async with trio.open_nursery() as nursery:
        await nursery.start(serve, app, listeners)
        yield bound
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def live_feed(
    settings: Settings | None = None,
    limits: Limits | None = None,
    port: int = 0,
    token: str | None = None,
) -> AsyncIterator[FeedServer]:
    """A live feed, running."""
    live = FeedServer(settings, limits)
    async with serving(live.feed, port, token) as port, trio.open_nursery() as nursery:
        live.port = port
        nursery.start_soon(live.feed.run)
        yield live
        nursery.cancel_scope.cancel()
