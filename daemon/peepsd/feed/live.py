"""The feed of a live daemon: happenings and the registry, told to a hub.

Decides when States are made (every interval, as long as anybody listens) and which happening
becomes which message. Costs next to nothing while nobody observes. Refuses to know how
processes are asked and where graphs are stored.
"""

import platform
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass

import structlog
import trio

from ..core.happenings import Bus, ConfigChanged, Happening, SnapshotCompleted
from ..core.registry import Registry
from .configuration import Settings
from .events import Catalogue, trace_of
from .hub import Clock, Hub, Limits
from .modes import Source
from .outgoing import encode_event, encode_runtime, encode_state, encode_trace
from .pb import introspection_pb2 as pb
from .state_builder import StateBuilder
from .timing import times_of_next

IMPLEMENTATION = "peeps-python"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the daemon is, to its observers."""

    version: str
    peer_id: str
    """Host and pid."""
    platform: str = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"


class LiveFeed:
    """Subscribes to the bus at once; `run` makes the States."""

    def __init__(
        self,
        bus: Bus,
        registry: Registry,
        identity: Identity,
        *,
        settings: Settings | None = None,
        limits: Limits | None = None,
        now_ns: Callable[[], int] = time.time_ns,
        clock: Clock = trio.current_time,
    ) -> None:
        self._bus = bus
        self._identity = identity
        self._now_ns = now_ns
        self._clock = clock
        self._builder = StateBuilder(registry)
        self._catalogue = Catalogue()
        self.hub = Hub(
            make_runtime=self._encoded_runtime,
            settings=settings or Settings(),
            clock=clock,
            limits=limits,
            on_configured=self._on_configured,
        )
        self._previous_ms: int | None = None
        self._previous_interval_ms = 0
        self._made_at = float("-inf")
        self._due_at = float("-inf")
        self._changed = trio.Event()
        bus.subscribe(self._on_happening)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Hub]:
        """The hub for one more observer, with a State to greet it."""
        if self._clock() >= self._due_at:
            self.make_state()  # nobody has listened for a while
        self._wake()
        yield self.hub

    async def run(self) -> None:
        """Make a State every interval while anybody listens. Runs until cancelled."""
        while True:
            self._changed = trio.Event()
            wait_s = self._due_at - self._clock() if self.hub.has_observers else float("inf")
            if wait_s <= 0:
                self.make_state()
                self.hub.expire()
                continue
            with trio.move_on_after(wait_s):
                await self._changed.wait()

    def make_state(self) -> None:
        """Publish what is true now."""
        settings = self.hub.settings
        interval_ms = settings.send_state_interval_ms
        now_ms = self._now_ns() // 1_000_000
        instant_ms, start_ms = times_of_next(
            now_ms, self._previous_ms, interval_ms, self._previous_interval_ms
        )
        made_at, is_first = self._clock(), self._previous_ms is None
        self._previous_ms, self._previous_interval_ms = instant_ms, interval_ms
        state = self._builder.build(
            instant_ms=instant_ms,
            start_ms=start_ms,
            interval_ms=interval_ms,
            retention_ms=settings.retention_period_ms,
            elapsed_s=interval_ms / 1000 if is_first else made_at - self._made_at,
        )
        self.hub.publish(Source.STATE, encode_state(state))
        self._made_at = made_at
        self._due_at = max(self._due_at + interval_ms / 1000, self._made_at)
        if self._due_at - self._made_at < interval_ms / 2000:  # behind: do not hurry after it
            self._due_at = self._made_at + interval_ms / 1000

    def statistics(self) -> dict[str, int]:
        """For /metrics and /health."""
        return self.hub.statistics()

    def _on_happening(self, happening: Happening) -> None:
        try:
            self._publish(happening)
        except Exception:  # a subscriber must not raise, and observers are no reason to
            log.exception("an observer event was lost", happening=type(happening).__name__)

    def _publish(self, happening: Happening) -> None:
        self._builder.note(happening)
        if self._catalogue.admit(happening):
            self.hub.renew_runtime()
        if self.hub.wants(Source.EVENTS):
            self.hub.publish(Source.EVENTS, encode_event(self._catalogue.event(happening)))
        if isinstance(happening, SnapshotCompleted) and self.hub.wants(Source.TRACE):
            self.hub.publish(Source.TRACE, encode_trace(trace_of(happening)))

    def _on_configured(self, settings: Settings) -> None:
        self._due_at = self._made_at + settings.send_state_interval_ms / 1000
        self._wake()
        self._bus.publish(ConfigChanged(self._now_ns(), asdict(settings)))

    def _wake(self) -> None:
        self._changed.set()

    def _encoded_runtime(self, settings: Settings) -> bytes:
        return encode_runtime(
            pb.Runtime(
                implementation=IMPLEMENTATION,
                version=self._identity.version,
                platform=self._identity.platform,
                peer_id=self._identity.peer_id,
                retention_period_ms=settings.retention_period_ms,
                send_state_interval_ms=settings.send_state_interval_ms,
                event_types=self._catalogue.types(),
            )
        )
