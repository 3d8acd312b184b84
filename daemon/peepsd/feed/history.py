"""What an observer keeps of a feed: the last Runtime, and States, Events and Traces as long as
the server retains them (R30). Pure: time is that of the messages, never the observer's clock.
"""

from collections import Counter, deque

from .pb import introspection_pb2 as pb

DEFAULT_RETENTION_MS = 120_000
"""Until the server tells (servers of the second generation do so in their answer to HELLO)."""


class History:
    """Takes messages in, in the order of their arrival; lets go of what is too old."""

    def __init__(self) -> None:
        self.runtime: pb.Runtime | None = None
        self.states: deque[pb.State] = deque()
        self.events: deque[pb.Event] = deque()
        self.traces: deque[pb.Trace] = deque()
        self.discarded_by_server: Counter[str] = Counter()
        self.event_counts: Counter[str] = Counter()
        """Events by type, of all that ever came."""
        self.retention_ms = DEFAULT_RETENTION_MS
        self.newest_ms = 0

    def add(self, message: pb.ServerMessage) -> None:
        """Note one message."""
        match message.WhichOneof("payload"):
            case "runtime":
                self.runtime = message.runtime
                self._retain(message.runtime.retention_period_ms)
            case "response":
                self._retain(message.response.effective_config.retention_period_ms)
            case "state":
                self._follow_clock(message.state.instant_ts)
                self.states.append(message.state)
                self._advance(message.state.instant_ts)
            case "event":
                self.events.append(message.event)
                self.event_counts[message.event.type.name] += 1
                self._advance(message.event.ts)
            case "trace":
                self.traces.append(message.trace)
                self._advance(_completed_ms(message.trace))
            case "notice":
                self._note(message.notice)

    @property
    def latest_state(self) -> pb.State | None:
        """The newest State; None before the first."""
        return self.states[-1] if self.states else None

    def _retain(self, retention_ms: int) -> None:
        if retention_ms:
            self.retention_ms = retention_ms
            self._discard()

    def _advance(self, at_ms: int) -> None:
        self.newest_ms = max(self.newest_ms, at_ms)
        self._discard()

    def _follow_clock(self, instant_ms: int) -> None:
        """Where the server's clock was set back, what it dated later has no place in time now."""
        if self.states and instant_ms < self.states[-1].instant_ts:
            self.newest_ms = instant_ms
            self.states = deque(s for s in self.states if s.instant_ts <= instant_ms)
            self.events = deque(e for e in self.events if e.ts <= instant_ms)
            self.traces = deque(t for t in self.traces if _completed_ms(t) <= instant_ms)

    def _discard(self) -> None:
        """Drop what is older than the retention period. Events are not in order of their time,
        so an old one may stay behind a younger one until that goes too."""
        oldest = self.newest_ms - self.retention_ms
        while self.states and self.states[0].instant_ts < oldest:
            self.states.popleft()
        while self.events and self.events[0].ts < oldest:
            self.events.popleft()
        while self.traces and _completed_ms(self.traces[0]) < oldest:
            self.traces.popleft()

    def _note(self, notice: pb.ServerNotice) -> None:
        if notice.kind == pb.ServerNotice.DISCARDING_EVENTS:
            self.discarded_by_server["events"] += notice.discarded_events
            self.discarded_by_server["states"] += notice.discarded_states
            self.discarded_by_server["traces"] += notice.discarded_traces


def _completed_ms(trace: pb.Trace) -> int:
    return trace.completed_ns // 1_000_000
