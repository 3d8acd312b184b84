"""The feed of a live daemon: happenings and the registry, told to a hub.

Decides that States are made as long as anybody listens, and which happening becomes which
message. Costs next to nothing while nobody observes. Refuses to know how
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
from . import rhythm
from .configuration import Settings
from .events import Catalogue, trace_of
from .hub import Clock, Hub, Limits
from .modes import Source
from .outgoing import encode_event, encode_runtime, encode_trace
from .pb import introspection_pb2 as pb
from .state_builder import StateBuilder
from .timing import next_instant

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
        cpu_clock: Clock = time.thread_time,
    ) -> None:
        self._bus = bus
        self._identity = identity
        self._now_ns = now_ns
        self._clock, self._cpu_clock = clock, cpu_clock
        self._budget = rhythm.Budget()
        self._builder = StateBuilder(registry)
        self._catalogue = Catalogue()
        self.hub = Hub(
            make_runtime=self._encoded_runtime,
            settings=settings or Settings(),
            clock=clock,
            limits=limits,
            on_configured=self._on_configured,
        )
        self._instant_ms: int | None = None
        self._made_at = float("-inf")
        self._beat_at = self._beat_ended_at = 0.0
        """When the last State was made, and the last one for those who were due."""
        self._changed = trio.Event()
        bus.subscribe(self._on_happening)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Hub]:
        """The hub for one more observer, with a State to greet it."""
        now = self._clock()
        if not self.hub.has_observers:
            self._beat_at = self._beat_ended_at = now
        if now - self._made_at >= self.hub.settings.send_state_interval_ms / 1000:
            self.make_state()  # nobody has listened for a while, or nobody so often
        self._wake()
        yield self.hub

    async def run(self) -> None:
        """Make States when observers are due, as long as there are any. Runs until cancelled."""
        while True:
            self._changed = trio.Event()
            due_s = rhythm.next_beat(
                self._beat_ended_at, self.hub.intervals_ms, self._budget.spacing_s
            )
            wait_s = due_s - self._clock()
            if wait_s <= 0:
                self._beat()
                continue
            with trio.move_on_after(wait_s):
                await self._changed.wait()

    def make_state(self) -> None:
        """Have a State of now to be pulled; it is pushed to nobody, because nobody is due."""
        now = self._clock()
        self._make_state(now, due_since_s=now)

    def _beat(self) -> None:
        now, cpu_s = self._clock(), self._cpu_clock()
        try:
            self._make_state(now, due_since_s=self._beat_at)
        except Exception:  # observers are no reason for the daemon to end
            log.exception("a State could not be made")
        if self._budget.spend(self._cpu_clock() - cpu_s):
            shortest_ms = self._budget.shortest_ms
            log.info("States are as rare as they are expensive", shortest_interval_ms=shortest_ms)
            self.hub.mandate(shortest_ms)
        # What fell due while it was made is passed over: hurrying after it would be all we do.
        self._beat_at, self._beat_ended_at = now, self._clock()
        self.hub.expire()

    def _make_state(self, now_s: float, due_since_s: float) -> None:
        now_ms = self._now_ns() // 1_000_000
        self._instant_ms = next_instant(now_ms, self._instant_ms)
        state = self._builder.build(
            instant_ms=self._instant_ms,
            retention_ms=self.hub.retention_ms,
            elapsed_s=now_s - self._made_at,
        )
        self._made_at = now_s
        self.hub.publish_state(state, due_since_s, now_s)

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
