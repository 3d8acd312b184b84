"""What one observer is owed, and in which order it gets it. Pure: no IO, no clock, no tasks.

Decides pull (R4 to R9), the push emitters and their pauses (R10 to R16), and that answers go
before pushed data. Refuses to know framing, generations and how fast the observer reads: it is
asked for the next message whenever there is room for one.
"""

from collections import deque
from dataclasses import replace
from typing import Protocol

from .backlog import Backlog
from .configuration import Settings, Wish
from .modes import PUSHABLE, Source
from .outgoing import NOTHING, LiveState, Outgoing, encode_notice
from .pb import introspection_pb2 as pb

MAX_ANSWERS = 256
"""Answers that an observer may leave unread before it is cut off."""


class Server(Protocol):
    """What an emitter may ask of the feed that it belongs to."""

    @property
    def settings(self) -> Settings:
        """What an observer begins with."""

    @property
    def shortest_interval_ms(self) -> int:
        """How often a State can be had, whatever an observer was granted; 0: as often as that."""

    @property
    def is_configurable(self) -> bool:
        """Whether observers may have other settings."""

    @property
    def latest_state(self) -> Outgoing | LiveState | None:
        """The newest State; None before the first."""

    def runtime_for(self, settings: Settings) -> Outgoing:
        """The Runtime of now, as an observer of these settings is told it."""

    def greeted(self) -> None:
        """An observer has been greeted, or has said HELLO."""

    def configured(self, settings: Settings) -> None:
        """An observer has other settings now."""


class Emitter:
    """The sending side of one observer."""

    def __init__(self, server: Server, max_backlog_bytes: int) -> None:
        self._server = server
        self._granted = server.settings
        self.backlog = Backlog(max_backlog_bytes)
        self.running: set[Source] = set()
        self.paused: set[Source] = set()
        self._all_paused = False
        self._answers: deque[Outgoing] = deque()
        self._is_runtime_due = False
        self._is_ready = False
        """A ready signal waits for a State (R6: one, however many signals came)."""
        self._queued = self._sent = NOTHING
        """The newest State that was queued (or sent), and the newest one sent."""
        self.is_greeted = False
        """Whether it takes part: it is told of changes of the Runtime."""

    @property
    def settings(self) -> Settings:
        """In force for this observer."""
        shortest_ms = self._server.shortest_interval_ms
        if self._granted.send_state_interval_ms >= shortest_ms:
            return self._granted
        return replace(self._granted, send_state_interval_ms=shortest_ms)

    def greet(self) -> None:
        """From now on it takes part."""
        self.is_greeted = True
        self._server.greeted()

    # What the observer asks for.

    def pull_state(self) -> None:
        """It is ready for the next State that it has not had (R5, R6)."""
        self._is_ready = True

    def pull_runtime(self) -> None:
        """It wants the metadata again (R9)."""
        self._is_runtime_due = True

    def start(self, source: Source) -> None:
        """Push this source from now on; no effect if it is being pushed already (R10)."""
        if source in self.running:
            return
        self.running.add(source)
        if self._all_paused:
            self.paused.add(source)
        latest = self._server.latest_state
        if source is Source.STATE and latest is not None:
            self._queue_state(latest)

    def stop(self, source: Source) -> None:
        """Push this source no more, and forget what is queued of it (R10, R12)."""
        self.running.discard(source)
        self.paused.discard(source)
        self.backlog.clear(source)
        if source is Source.STATE:
            self._queued = self._sent
        self._all_paused &= bool(self.running)

    def pause(self, source: Source | None) -> None:
        """Hold back one source, or everything (None); no effect if not pushed (R11 to R13)."""
        self.paused |= self.running if source is None else self.running & {source}
        self._all_paused |= source is None and bool(self.running)

    def unpause(self, source: Source | None) -> None:
        """Send what was held back, then go on; no effect if nothing is (R11, R14)."""
        self.paused -= set(PUSHABLE) if source is None else {source}
        self._all_paused &= source is not None and bool(self.paused)

    def configure(self, wish: Wish) -> Settings:
        """Ask for settings of its own; returns the effective ones."""
        granted = wish.granted(self._granted)
        if self._server.is_configurable and granted != self._granted:
            self._granted = granted
            self._server.configured(self.settings)
        return self.settings

    def answer(self, payload: bytes) -> None:
        """Send this to this observer alone, before any pushed data."""
        self._answers.append(Outgoing(payload))

    # What happens.

    def offer(self, source: Source, outgoing: Outgoing) -> None:
        """Something was published."""
        if source is Source.STATE:
            self.offer_state(outgoing)
        elif source in self.running:
            self.backlog.append(source, outgoing)

    def offer_state(self, state: Outgoing | LiveState) -> None:
        """A State was made that this observer is due."""
        if Source.STATE in self.running:
            self._queue_state(state)

    def announce_runtime(self) -> None:
        """The Runtime changed (R20, R28, R29)."""
        self._is_runtime_due |= self.is_greeted

    # What goes out.

    @property
    def is_overrun(self) -> bool:
        """Whether it keeps asking and does not read the answers."""
        return len(self._answers) > MAX_ANSWERS

    @property
    def has_work(self) -> bool:
        """Whether next_message would give one."""
        return (
            bool(self._answers)
            or self._is_runtime_due
            or self._is_pull_due
            or self.backlog.holds(self.running - self.paused)
            or self._is_notice_due
        )

    def next_message(self, now: float) -> Outgoing | None:
        """The next message to send, taken out; None: nothing is due.

        `now` is on the clock of Outgoing.at (s).
        """
        self.expire(now)
        if self._answers:
            return self._answers.popleft()
        if self._is_runtime_due:
            self._is_runtime_due = False
            return self._server.runtime_for(self.settings)
        if self._is_notice_due:
            return self._discard_notice()
        if self._is_pull_due:
            return self._pulled_state()
        outgoing = self.backlog.pop(self.running - self.paused)
        if outgoing is not None and outgoing.source is Source.STATE:
            self._note_sent(outgoing)
        return outgoing

    def expire(self, now: float) -> None:
        """Discard what is older than the retention period (R16)."""
        self.backlog.expire(now - self.settings.retention_period_ms / 1000)

    def _queue_state(self, state: Outgoing | LiveState) -> None:
        if state.sequence > self._queued.sequence:
            outgoing = state.since(self._queued, self.settings.send_state_interval_ms)
            self._queued = outgoing.told
            self.backlog.append(Source.STATE, outgoing)

    @property
    def _is_pull_due(self) -> bool:
        """A ready signal can be served by itself. If States flow, the next one serves it."""
        if not self._is_ready or Source.STATE in self.running - self.paused:
            return False
        latest = self._server.latest_state
        is_new = latest is not None and latest.sequence > self._sent.sequence
        return is_new or self.backlog.holds([Source.STATE])

    def _pulled_state(self) -> Outgoing | None:
        """The next State in order: a paused emitter's queue comes before the latest."""
        state, latest = self.backlog.pop([Source.STATE]), self._server.latest_state
        if state is None and latest is not None:
            state = latest.since(self._sent, self.settings.send_state_interval_ms)
        if state is not None:
            self._note_sent(state)
        return state

    def _note_sent(self, state: Outgoing) -> None:
        self._is_ready = False
        self._sent = state.told
        self._queued = max(self._queued, self._sent)

    @property
    def _is_notice_due(self) -> bool:
        """Losses are announced where the gap is: before the data that follows it."""
        flows = self.running - self.paused
        return self.backlog.has_discarded and (bool(flows) or not self.paused)

    def _discard_notice(self) -> Outgoing:
        lost = self.backlog.take_discarded()
        notice = pb.ServerNotice(
            kind=pb.ServerNotice.DISCARDING_EVENTS,
            detail=f"{lost.total()} messages of this observer's backlog were discarded",
            discarded_events=lost[Source.EVENTS],
            discarded_states=lost[Source.STATE],
            discarded_traces=lost[Source.TRACE],
        )
        return Outgoing(encode_notice(notice))
