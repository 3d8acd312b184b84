"""All observers of one feed, and what is published to them.

Decides the order of what is published, that everything is encoded once for all, who is told of
a new Runtime, and how many observers there may be. Refuses to know WebSockets and where the
data comes from: a live daemon and a recording feed it alike.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .configuration import Settings, Wish
from .emitter import Emitter
from .generation import Generation
from .modes import Path, Source
from .observer import Observer
from .outgoing import Outgoing


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
        """`on_configured` None: the settings cannot be changed (a recording's)."""
        self.limits = limits or Limits()
        self.discarded = 0
        """Messages that departed observers lost."""
        self._make_runtime = make_runtime
        self._on_configured = on_configured
        self.greeted = on_greeted
        self._settings = settings
        self._clock = clock
        self._wakes: dict[Observer, Wake] = {}
        self._sequence = 0
        self._runtime = Outgoing(make_runtime(settings), Source.RUNTIME)
        self._latest_state: Outgoing | None = None

    @property
    def settings(self) -> Settings:
        """The values in force."""
        return self._settings

    @property
    def runtime(self) -> Outgoing:
        """The Runtime of now."""
        return self._runtime

    @property
    def latest_state(self) -> Outgoing | None:
        """The newest State; None before the first."""
        return self._latest_state

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
        """Give everybody who asked for it a new State, Event or Trace."""
        self._sequence += 1
        outgoing = Outgoing(payload, source, self._sequence, self._clock())
        if source is Source.STATE:
            self._latest_state = outgoing
        for observer, wake in self._wakes.items():
            emitter = observer.emitter
            emitter.offer(source, outgoing)
            if emitter.has_work:
                wake()

    def renew_runtime(self, except_for: Emitter | None = None) -> None:
        """The Runtime changed; tell everybody who has been greeted (R20, R29)."""
        self._runtime = Outgoing(self._make_runtime(self._settings), Source.RUNTIME)
        for observer, wake in self._wakes.items():
            if observer.emitter is not except_for:
                observer.emitter.announce_runtime()
                if observer.emitter.has_work:
                    wake()

    def replace_runtime(self, payload: bytes) -> None:
        """Another Runtime as it is (a recording's next one)."""
        self._make_runtime = lambda _settings: payload
        self.renew_runtime()

    def configure(self, wish: Wish, asker: Emitter) -> Settings:
        """Grant what the limits allow; others are told if that changed anything."""
        if self._on_configured is None:
            return self._settings
        granted = wish.granted(self._settings)
        if granted != self._settings:
            self._settings = granted
            self.renew_runtime(except_for=asker)
            self._on_configured(granted)
        return granted

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
