"""The composition root: makes every part, hands each what it needs, owns the nursery.

Decides the order of starting and stopping, nothing else. Stopping is the reverse of starting:
nobody new is let in, the HTTP server ends, and last the store writes what is queued.
"""

import gc
import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path

import structlog
import trio

from . import triggers
from .config import Address, Config
from .core.crowding import Crowd
from .core.happenings import Bus, Happening, SnapshotCompleted
from .core.limits import PeerLimits
from .core.registry import Registry
from .core.summary import SnapshotSummary
from .errors import CannotListen
from .feed.live import Identity, LiveFeed
from .feed.participants import House, run_participants
from .feed.routes import websocket_routes
from .http.answers_api import AnswersApi
from .http.api import MAX_SNAPSHOTS_AT_ONCE, Api
from .http.app import build_app, methods_at
from .http.guard import Guard, Policy
from .http.openapi import route as openapi_route
from .http.pages import PUBLIC
from .http.server import bound_address, listen, serve
from .net.budget import ReceiveBudget
from .net.connection import Services, serve_stream
from .net.decoding import Decoder
from .net.intake import Intake
from .net.listener import Listener
from .net.problems import Problems
from .net.rounds import SnapshotRounds
from .store.analyst import Analyst
from .store.database import Database, open_database
from .store.janitor import Janitor
from .store.sandbox import SqlSandbox
from .store.schema import schema_sql
from .telemetry import Telemetry
from .workers.pool import Limits, WorkerPool

DECODERS = 2
DECODE_DEADLINE_S = 30.0
DECODE_MEMORY_FACTOR = 16
"""Python's objects take several times the bytes they were read from."""

GARBAGE_THRESHOLD = 20_000

log = structlog.get_logger("peepsd")


@dataclass(frozen=True, slots=True)
class Running:
    """A daemon that is ready."""

    listen: Address
    http: Address
    rounds: SnapshotRounds
    registry: Registry
    bus: Bus
    take: triggers.Take


@asynccontextmanager
async def running(config: Config) -> AsyncIterator[Running]:
    """The daemon, from ready to stopped. Raises PeepsError if it cannot start."""
    async with open_database(config.db, time.time_ns()) as database:
        for done in database.recovered:
            log.info(done)
        async with trio.open_nursery() as nursery:
            daemon = _Daemon(config, database)
            try:
                ready = await daemon.start(nursery)
                _keep_garbage_collection_short()
                yield ready
            finally:
                nursery.cancel_scope.cancel()


class _Daemon:
    """Every part, made but not started."""

    def __init__(self, config: Config, database: Database) -> None:
        self._config = config
        self._started_s = trio.current_time()
        self.bus = Bus()
        self.registry = Registry()
        self.telemetry = Telemetry()
        self.janitor = Janitor(
            database.writer,
            database.reader,
            retain_snapshots=config.retain_snapshots,
            retain_event_days=config.retain_event_days,
        )
        self.feed = LiveFeed(
            self.bus,
            self.registry,
            Identity(metadata.version("peeps"), f"{socket.gethostname()}-{os.getpid()}"),
        )
        self.bus.subscribe(self.telemetry)
        self.bus.subscribe(self._sweep_after_snapshots)
        self._make_gathering(database)
        self._make_answering(database)

    def _make_gathering(self, database: Database) -> None:
        """From bytes of processes to rows."""
        config = self._config
        self.budget = ReceiveBudget(config.receive_budget_bytes)
        problems = Problems(self.bus, self.janitor.record)
        self.rounds = SnapshotRounds(
            self.registry, database.writer, self.bus, problems, grace_ms=config.grace_ms
        )
        self.decoders = WorkerPool(
            "peepsd.core.offload:handle",
            size=DECODERS,
            queue_limit=config.max_connections,
            limits=Limits(memory_bytes=DECODE_MEMORY_FACTOR * config.max_frame_bytes + (1 << 28)),
        )
        decoder = Decoder(self._decode_elsewhere)
        shared = Services(
            self.registry,
            self.rounds,
            Intake(self.registry, self.rounds, decoder, self.bus, problems),
            self.bus,
            problems,
            self.budget,
            PeerLimits(),
            config.max_frame_bytes,
            config.token,
        )
        self.crowd = Crowd(self.registry)
        self.listener = Listener(
            partial(serve_stream, shared=shared), config.max_connections, self._make_room
        )
        self.house = House(self.registry, self.rounds, self.bus, decoder.decode)

    def _make_answering(self, database: Database) -> None:
        """From questions of people to answers."""
        self.guard: Guard | None = None
        self.sandbox = SqlSandbox(Path(database.path), schema_sql())
        self.analyst = Analyst(Path(database.path))
        self.api = Api(
            self.rounds.take,
            self.registry.peers,
            database.reader,
            self.sandbox,
            self.statistics,
            self._config.timeout_ms,
            metadata.version("peeps"),
            trio.CapacityLimiter(MAX_SNAPSHOTS_AT_ONCE),
        )
        self.answers = AnswersApi(self.analyst.ask)

    async def start(self, nursery: trio.Nursery) -> Running:
        """Start every part; returns when connections and requests are taken."""
        config = self._config
        await nursery.start(self.janitor.run)
        await nursery.start(self.decoders.run)
        await nursery.start(self.sandbox.run)
        await nursery.start(self.analyst.run)
        nursery.start_soon(self.feed.run)
        nursery.start_soon(run_participants, config.introspect, self.house)
        try:
            listeners = await self.listener.open(config.listen.host, config.listen.port)
        except OSError as exc:
            raise _cannot_listen("PEEPS_LISTEN", config.listen, exc) from None
        nursery.start_soon(self.listener.serve, listeners)
        http = await self._start_http(nursery)
        if config.every:
            nursery.start_soon(triggers.every, config.every, self.take)
        port = 0 if config.listen.is_unix else listeners[0].socket.getsockname()[1]
        return Running(
            Address(config.listen.host, port), http, self.rounds, self.registry, self.bus, self.take
        )

    async def _start_http(self, nursery: trio.Nursery) -> Address:
        description = openapi_route(self.api.version)
        feed = websocket_routes(self.feed)
        app = build_app([*self.api.routes(), *self.answers.routes(), *feed, description])
        address, token = self._config.http, self._config.token
        try:
            listeners = await listen(address.host, address.port)
        except OSError as exc:
            raise _cannot_listen("PEEPS_HTTP", address, exc) from None
        _, port = bound_address(listeners)
        policy = Policy.listening_on(
            address.host,
            port,
            extra_hosts=self._config.allowed_hosts,
            token=token,
            public=PUBLIC,
        )
        self.guard = Guard(app, policy, partial(methods_at, app.routes))
        await nursery.start(serve, self.guard, listeners)
        return Address(address.host, port)

    async def take(self) -> SnapshotSummary:
        """A snapshot as configured."""
        return await self.rounds.take(self._config.timeout_ms)

    def _make_room(self) -> bool:
        """Cut a silent connection in favour of a newcomer."""
        peer = self.crowd.leaver(time.time_ns())
        if peer is not None:
            peer.cut("it had never sent a byte, and a newcomer needed the place")
        return peer is not None

    async def _decode_elsewhere(self, payload: bytes) -> bytes:
        return await self.decoders.call(payload, deadline_s=DECODE_DEADLINE_S)

    def _sweep_after_snapshots(self, happening: Happening) -> None:
        if isinstance(happening, SnapshotCompleted):
            self.janitor.snapshot_completed()

    def statistics(self) -> dict[str, float]:
        """The daemon's numbers, by metric name."""
        budget = self.budget.statistics()
        feed = self.feed.statistics()
        sql = self.sandbox.statistics()
        return {
            "connections": len(self.registry),
            "unidentified_connections": self.registry.without_hello(),
            "refused_connections_total": self.listener.refused,
            "evicted_connections_total": self.listener.evicted,
            "snapshots_total": self.telemetry.snapshots,
            "last_snapshot_id": self.telemetry.last_snapshot_id,
            "last_snapshot_seconds": self.telemetry.last_snapshot_ms / 1e3,
            "replies_total": self.telemetry.replies,
            "timeouts_total": self.telemetry.timeouts,
            "ingest_events_total": self.janitor.events_total,
            "receive_budget_used_bytes": budget["used_bytes"],
            "receive_budget_waiting": budget["waiting"],
            "observers": feed["observers"],
            "observer_queued_bytes": feed["queued_bytes"],
            "observer_discarded_messages_total": feed["discarded_messages"],
            "http_refused_total": sum(self.guard.refused.values()) if self.guard else 0,
            "sql_queries_total": sql.calls,
            "sql_busy_total": sql.refused,
            "sql_killed_total": sql.timeouts + sql.deaths,
            "uptime_seconds": trio.current_time() - self._started_s,
        }


def _keep_garbage_collection_short() -> None:
    """What is there now stays, so nobody is held up by a look through it again; and a reply's
    rows come and go without one."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD)


def _cannot_listen(setting: str, address: Address, exc: OSError) -> CannotListen:
    return CannotListen(
        f"{setting}: cannot listen on {address}: {exc.strerror or exc}",
        hint="is another peepsd running? choose another address, or port 0 for any free one",
    )
