"""All observers of one feed, and what is published to them.

Decides the order of what is published, that everything is encoded once for all, who is due a
State, who is told of a new Runtime, and how many observers there may be. Refuses to know
WebSockets and where the data comes from: a live daemon and a recording feed it alike.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from . import rhythm
from .configuration import Settings
from .emitter import Emitter
from .generation import Generation
from .modes import Path, Source
from .observer import Observer
from .outgoing import LiveState, Outgoing
from .pb import introspection_pb2 as pb


@dataclass(frozen=True, slots=True)
class Limits:
    """What one observer may cost."""

    max_observers: int = 256
    max_backlog_bytes: int = 8 * 1024 * 1024
    max_message_bytes: int = 64 * 1024
    """The longest frame that an observer may send."""
    messages_per_s: float = 100.0
    message_burst: int = 1000
    stall_s: float = 30.0
    """An observer that takes nothing for so long is cut off."""
    breather_s: float = 0.00015
    """Time between two writes to one observer, for each observer there is: whatever they all
    ask for, the daemon has most of its time for the processes. Many get more at a time instead
    of more often."""


Wake = Callable[[], None]
Clock = Callable[[], float]
"""Monotonic seconds."""


class Hub:
    """Publishes to every observer. Also the Server that emitters ask."""

    def __init__(
        self,
        *,
        make_runtime: Callable[[Settings], bytes],
        settings: Settings,
        clock: Clock,
        limits: Limits | None = None,
        on_configured: Callable[[Settings], None] | None = None,
        on_greeted: Callable[[], None] = lambda: None,
    ) -> None:
        """`settings` are what an observer begins with. `on_configured` is told of those that one
        has asked for; None: there are no others (a recording's)."""
        self.limits = limits or Limits()
        self.discarded = 0
        """Messages that departed observers lost."""
        self._make_runtime = make_runtime
        self._on_configured = on_configured
        self.greeted = on_greeted
        self.settings = settings
        self._clock = clock
        self._wakes: dict[Observer, Wake] = {}
        self._sequence = 0
        self._runtime = Outgoing(make_runtime(settings), Source.RUNTIME)
        self.shortest_interval_ms = 0
        """How often a State can be had; 0: as often as observers were granted."""
        self.latest_state: Outgoing | LiveState | None = None
        """The newest one."""

    @property
    def is_configurable(self) -> bool:
        """Whether observers may have settings of their own."""
        return self._on_configured is not None

    def runtime_for(self, settings: Settings) -> Outgoing:
        """The Runtime of now, as an observer of these settings is told it."""
        if settings == self.settings:
            return self._runtime
        return Outgoing(self._make_runtime(settings), Source.RUNTIME)

    @property
    def intervals_ms(self) -> set[int]:
        """How often observers want a State; empty: there are none."""
        return {observer.emitter.settings.send_state_interval_ms for observer in self._wakes}

    @property
    def retention_ms(self) -> int:
        """How long somebody wants to hear of what has ended."""
        observers = [observer.emitter.settings for observer in self._wakes]
        return max(s.retention_period_ms for s in [*observers, self.settings])

    @property
    def has_observers(self) -> bool:
        """Whether anybody is there."""
        return bool(self._wakes)

    @property
    def is_full(self) -> bool:
        """Whether another observer would be too many."""
        return len(self._wakes) >= self.limits.max_observers

    @property
    def breather_s(self) -> float:
        """How long an observer waits for its next write now."""
        return self.limits.breather_s * len(self._wakes)

    @contextmanager
    def attached(self, path: Path, generation: Generation | None, wake: Wake) -> Iterator[Observer]:
        """A new observer. `wake` is called, from anywhere, when it is owed something new."""
        observer = Observer(
            path, self, generation=generation, max_backlog_bytes=self.limits.max_backlog_bytes
        )
        self._wakes[observer] = wake
        try:
            yield observer
        finally:
            del self._wakes[observer]
            self.discarded += observer.emitter.backlog.discarded_total

    def wants(self, source: Source) -> bool:
        """Whether anybody is being pushed this source, so that it is worth encoding."""
        return any(source in observer.emitter.running for observer in self._wakes)

    def publish(self, source: Source, payload: bytes) -> None:
        """Give everybody who asked for it a new Event or Trace, or a State that was recorded."""
        self._sequence += 1
        outgoing = Outgoing(payload, source, self._sequence, self._clock())
        if source is Source.STATE:
            self.latest_state = outgoing
        self._tell(lambda emitter: emitter.offer(source, outgoing))

    def publish_state(self, state: pb.State, last_s: float, now_s: float) -> None:
        """A State was made: push it to those who have become due since `last_s`, and let
        everybody pull it. Each is told what it spans for itself."""
        self._sequence += 1
        live = self.latest_state = LiveState(state, self._sequence, self._clock())

        def offer(emitter: Emitter) -> None:
            if rhythm.is_due(last_s, now_s, emitter.settings.send_state_interval_ms):
                emitter.offer_state(live)

        self._tell(offer)

    def renew_runtime(self) -> None:
        """The Runtime changed; tell everybody who has been greeted (R20, R29)."""
        self._runtime = Outgoing(self._make_runtime(self.settings), Source.RUNTIME)
        self._tell(Emitter.announce_runtime)

    def mandate(self, shortest_interval_ms: int) -> None:
        """States can be had as often as this; tell those for whom that changes anything (R29)."""
        before = {observer.emitter: observer.emitter.settings for observer in self._wakes}
        self.shortest_interval_ms = shortest_interval_ms

        def announce(emitter: Emitter) -> None:
            if emitter.settings != before[emitter]:
                emitter.announce_runtime()

        self._tell(announce)

    def replace_runtime(self, payload: bytes) -> None:
        """Another Runtime as it is (a recording's next one)."""
        self._make_runtime = lambda _settings: payload
        self.renew_runtime()

    def _tell(self, tell: Callable[[Emitter], None]) -> None:
        """`tell` it to every observer's emitter; who is owed something then is woken."""
        for observer, wake in self._wakes.items():
            tell(observer.emitter)
            if observer.emitter.has_work:
                wake()

    def configured(self, settings: Settings) -> None:
        """An observer has these settings now."""
        if self._on_configured is not None:
            self._on_configured(settings)

    def expire(self) -> None:
        """Let go of what is too old in every backlog, also of those that take nothing."""
        now = self._clock()
        for observer in self._wakes:
            observer.emitter.expire(now)

    def statistics(self) -> dict[str, int]:
        """For /metrics and /health."""
        backlogs = [observer.emitter.backlog for observer in self._wakes]
        return {
            "observers": len(self._wakes),
            "queued_messages": sum(map(len, backlogs)),
            "queued_bytes": sum(backlog.bytes for backlog in backlogs),
            "discarded_messages": self.discarded + sum(b.discarded_total for b in backlogs),
            "published_messages": self._sequence,
        }
