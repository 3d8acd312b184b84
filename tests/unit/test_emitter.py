"""Rules of one observer, against a server that the test moves by hand."""

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from peepsd.feed.configuration import Settings, Wish
from peepsd.feed.emitter import MAX_ANSWERS, Emitter
from peepsd.feed.modes import PUSHABLE, Source
from peepsd.feed.outgoing import LiveState, Outgoing
from peepsd.feed.pb import introspection_pb2 as pb

STATE, RUNTIME, EVENTS, TRACE = Source.STATE, Source.RUNTIME, Source.EVENTS, Source.TRACE


class FakeServer:
    """States and events are numbered from 1; a message's payload names it."""

    def __init__(self) -> None:
        self.settings = Settings(1_000, 60_000)
        self.is_configurable = True
        self.shortest_interval_ms = 0
        self.latest_state: Outgoing | LiveState | None = None
        self.sequence = 0
        self.emitters: list[Emitter] = []
        self.told: list[Settings] = []

    def observer(self, max_backlog_bytes: int = 10_000) -> Emitter:
        self.emitters.append(Emitter(self, max_backlog_bytes))
        return self.emitters[-1]

    def publish(self, source: Source, at: float = 0.0) -> str:
        self.sequence += 1
        name = f"{source.name.lower()}{self.sequence}"
        outgoing = Outgoing(name.encode(), source, self.sequence, at)
        if source is STATE:
            self.latest_state = outgoing
        for emitter in self.emitters:
            emitter.offer(source, outgoing)
        return name

    def greeted(self) -> None:
        pass

    def runtime_for(self, settings: Settings) -> Outgoing:
        special = "" if settings == self.settings else f" {settings.send_state_interval_ms}"
        return Outgoing(f"runtime{special}".encode(), RUNTIME)

    def configured(self, settings: Settings) -> None:
        self.told.append(settings)


def sent(emitter: Emitter, now: float = 0.0) -> list[str]:
    """Everything that is due, by name."""
    names = []
    while emitter.has_work:
        outgoing = emitter.next_message(now)
        assert outgoing is not None
        names.append(outgoing.payload.decode(errors="replace"))
    assert emitter.next_message(now) is None
    return names


def test_nothing_is_sent_to_one_who_asked_for_nothing() -> None:
    server = FakeServer()
    emitter = server.observer()
    for source in PUSHABLE:
        server.publish(source)
    assert sent(emitter) == []


def test_a_ready_signal_gets_the_current_state_once() -> None:
    server = FakeServer()
    emitter = server.observer()
    server.publish(STATE)
    emitter.pull_state()
    emitter.pull_state()
    assert sent(emitter) == ["state1"]
    emitter.pull_state()
    assert sent(emitter) == []


def test_a_state_that_was_queued_and_never_sent_can_be_pulled() -> None:
    server = FakeServer()
    emitter = server.observer()
    emitter.start(STATE)
    emitter.pause(STATE)
    server.publish(STATE)
    emitter.stop(STATE)
    emitter.pull_state()
    assert sent(emitter) == ["state1"]
    emitter.pull_state()
    assert sent(emitter) == []


def test_starting_again_begins_with_the_current_state_if_it_was_never_sent() -> None:
    server = FakeServer()
    emitter = server.observer()
    server.publish(STATE)
    emitter.start(STATE)
    emitter.stop(STATE)
    emitter.start(STATE)
    assert sent(emitter) == ["state1"]
    emitter.stop(STATE)
    emitter.start(STATE)
    assert sent(emitter) == []


def test_a_ready_signal_before_the_next_state_is_remembered_once() -> None:
    server = FakeServer()
    emitter = server.observer()
    for _ in range(3):
        emitter.pull_state()
    assert sent(emitter) == []
    server.publish(STATE)
    assert sent(emitter) == ["state1"]
    server.publish(STATE)
    assert sent(emitter) == []


def test_a_ready_signal_skips_what_was_missed() -> None:
    server = FakeServer()
    emitter = server.observer()
    server.publish(STATE)
    server.publish(STATE)
    emitter.pull_state()
    assert sent(emitter) == ["state2"]


def test_pushes_begin_with_the_current_state_and_end_with_stop() -> None:
    server = FakeServer()
    emitter = server.observer()
    server.publish(STATE)
    emitter.start(STATE)
    assert sent(emitter) == ["state1"]
    server.publish(STATE)
    emitter.start(STATE)  # it runs already
    assert sent(emitter) == ["state2"]
    server.publish(STATE)
    emitter.stop(STATE)
    server.publish(STATE)
    assert sent(emitter) == []


def test_a_state_that_was_pulled_is_not_pushed_again() -> None:
    server = FakeServer()
    emitter = server.observer()
    server.publish(STATE)
    emitter.pull_state()
    assert sent(emitter) == ["state1"]
    emitter.start(STATE)
    assert sent(emitter) == []
    emitter.pull_state()  # the next one that flows serves it
    server.publish(STATE)
    assert sent(emitter) == ["state2"]
    assert not emitter.has_work


def test_a_pause_holds_back_one_source_and_keeps_the_order() -> None:
    server = FakeServer()
    emitter = server.observer()
    emitter.start(EVENTS)
    emitter.start(TRACE)
    emitter.pause(EVENTS)
    emitter.pause(EVENTS)
    server.publish(EVENTS)
    server.publish(TRACE)
    server.publish(EVENTS)
    assert sent(emitter) == ["trace2"]
    emitter.unpause(EVENTS)
    emitter.unpause(EVENTS)
    assert sent(emitter) == ["events1", "events3"]
    server.publish(EVENTS)
    assert sent(emitter) == ["events4"]


def test_with_no_emitter_pause_unpause_and_stop_change_nothing() -> None:
    server = FakeServer()
    emitter = server.observer()
    for source in (STATE, None):
        emitter.pause(source)
        emitter.unpause(source)
    emitter.pause(None)
    emitter.stop(STATE)
    emitter.start(EVENTS)
    server.publish(EVENTS)
    assert sent(emitter) == ["events1"]


def test_a_pause_of_everything_holds_back_what_is_started_later() -> None:
    server = FakeServer()
    emitter = server.observer()
    emitter.start(EVENTS)
    emitter.pause(None)
    emitter.start(TRACE)
    server.publish(TRACE)
    assert sent(emitter) == []
    emitter.unpause(None)
    assert sent(emitter) == ["trace1"]


def test_a_paused_emitter_gives_its_states_one_by_one_when_pulled() -> None:
    server = FakeServer()
    emitter = server.observer()
    emitter.start(STATE)
    emitter.pause(STATE)
    server.publish(STATE)
    server.publish(STATE)
    emitter.pull_state()
    assert sent(emitter) == ["state1"]
    emitter.unpause(STATE)
    assert sent(emitter) == ["state2"]


def test_answers_and_the_runtime_go_before_pushed_data_and_through_a_pause() -> None:
    server = FakeServer()
    emitter = server.observer()
    emitter.start(EVENTS)
    server.publish(EVENTS)
    emitter.pull_runtime()
    emitter.answer(b"answer")
    assert sent(emitter) == ["answer", "runtime", "events1"]
    emitter.pause(None)
    emitter.answer(b"answer")
    assert sent(emitter) == ["answer"]


def test_a_changed_runtime_is_announced_once_and_only_after_the_greeting() -> None:
    emitter = FakeServer().observer()
    emitter.announce_runtime()
    assert sent(emitter) == []
    emitter.greet()
    emitter.announce_runtime()
    emitter.announce_runtime()
    assert sent(emitter) == ["runtime"]


def test_a_pause_longer_than_the_retention_costs_the_oldest_and_is_announced() -> None:
    server = FakeServer()
    emitter = server.observer()
    emitter.start(EVENTS)
    emitter.start(STATE)
    emitter.pause(None)
    server.publish(EVENTS, at=0)
    server.publish(STATE, at=10)
    server.publish(EVENTS, at=50)
    emitter.unpause(None)
    outgoing = emitter.next_message(now=70.5)
    assert outgoing is not None
    notice = pb.ServerMessage.FromString(outgoing.payload).notice
    assert notice.kind == pb.ServerNotice.DISCARDING_EVENTS
    assert (notice.discarded_events, notice.discarded_states, notice.discarded_traces) == (1, 1, 0)
    assert sent(emitter, now=70.5) == ["events3"]
    assert emitter.backlog.discarded_total == 2


def test_a_loss_is_announced_although_another_source_is_paused() -> None:
    server = FakeServer()
    emitter = server.observer(max_backlog_bytes=20)
    emitter.start(EVENTS)
    emitter.start(TRACE)
    emitter.pause(TRACE)
    for _ in range(4):
        server.publish(EVENTS)
    notice, *events = sent(emitter)
    assert "discarded" in notice
    assert events == ["events3", "events4"]


def test_one_who_does_not_read_loses_its_own_backlog() -> None:
    server = FakeServer()
    stuck, other = server.observer(max_backlog_bytes=20), server.observer(max_backlog_bytes=20)
    for emitter in (stuck, other):
        emitter.start(EVENTS)
    for n in range(1, 10):
        server.publish(EVENTS)
        assert sent(other) == [f"events{n}"]
    assert len(stuck.backlog) == 2
    assert stuck.backlog.discarded_total == 7


def test_one_who_never_reads_its_answers_is_overrun() -> None:
    emitter = FakeServer().observer()
    for _ in range(MAX_ANSWERS):
        emitter.answer(b"")
    assert not emitter.is_overrun
    emitter.answer(b"")
    assert emitter.is_overrun


def test_settings_are_the_observers_own() -> None:
    server = FakeServer()
    one, other = server.observer(), server.observer()
    assert one.configure(Wish(send_state_interval_ms=700)) == Settings(700, 60_000)
    assert server.told == [one.settings]
    one.configure(Wish(send_state_interval_ms=700))
    assert len(server.told) == 1  # nothing changed
    assert other.settings == server.settings == Settings(1_000, 60_000)
    for emitter, told in ((one, "runtime 700"), (other, "runtime")):
        emitter.pull_runtime()
        assert sent(emitter) == [told]


def test_r29_nobody_is_told_more_often_than_the_server_can_bear() -> None:
    server = FakeServer()
    emitter = server.observer()
    server.shortest_interval_ms = 5_000
    assert emitter.settings == Settings(5_000, 60_000)
    assert emitter.configure(Wish(send_state_interval_ms=700)) == Settings(5_000, 60_000)
    assert emitter.configure(Wish(send_state_interval_ms=9_000)) == Settings(9_000, 60_000)
    emitter.configure(Wish(send_state_interval_ms=700))
    server.shortest_interval_ms = 0
    assert emitter.settings == Settings(700, 60_000)


def test_a_recordings_settings_stay() -> None:
    server = FakeServer()
    server.is_configurable = False
    emitter = server.observer()
    assert emitter.configure(Wish(send_state_interval_ms=700)) == server.settings
    assert server.told == []


def test_a_backlog_is_as_old_as_its_observer_wants() -> None:
    server = FakeServer()
    short, long = server.observer(), server.observer()
    short.configure(Wish(retention_period_ms=1_000))
    for emitter in (short, long):
        emitter.start(EVENTS)
    server.publish(EVENTS, at=0)
    notice, *none = sent(short, now=2)
    assert "discarded" in notice
    assert none == []
    assert sent(long, now=2) == ["events1"]


def spans(emitter: Emitter) -> list[tuple[int, int, int]]:
    """start, instant and duration of the States that are due."""
    found = []
    while (outgoing := emitter.next_message(0.0)) is not None:
        state = pb.ServerMessage.FromString(outgoing.payload).state
        found.append((state.start_ts, state.instant_ts, state.snapshot_duration_ms))
    return found


def test_r23_r24_a_state_spans_what_it_does_for_each_observer() -> None:
    server = FakeServer()
    often, seldom, pulling = server.observer(), server.observer(), server.observer()
    seldom.configure(Wish(send_state_interval_ms=2_000))
    for emitter in (often, seldom):
        emitter.start(STATE)
    for n, due in ((1, [often, seldom]), (2, [often]), (3, [often, seldom])):
        server.latest_state = LiveState(pb.State(instant_ts=10_000 + 1_000 * n), n)
        for emitter in due:
            emitter.offer_state(server.latest_state)
    assert spans(often) == [
        (10_000, 11_000, 1_000),
        (11_000, 12_000, 1_000),
        (12_000, 13_000, 1_000),
    ]
    assert spans(seldom) == [(9_000, 11_000, 2_000), (11_000, 13_000, 2_000)]
    pulling.pull_state()
    assert spans(pulling) == [(12_000, 13_000, 1_000)]


def test_r24_after_states_that_were_never_sent_the_gap_shows() -> None:
    server = FakeServer()
    emitter = server.observer()
    for n in range(1, 6):
        server.latest_state = LiveState(pb.State(instant_ts=1_000 * n), n)
        if n in (1, 5):
            emitter.pull_state()
            assert spans(emitter) == [(1_000 * (n - 1), 1_000 * n, 1_000)]


class AnyObserver(RuleBasedStateMachine):
    """Whatever an observer asks, in whatever order: no State twice, and none out of order."""

    def __init__(self) -> None:
        super().__init__()
        self.server = FakeServer()
        self.emitter = self.server.observer()
        self.states: list[int] = []
        self.wanted = 0

    @rule(source=st.sampled_from(PUSHABLE))
    def publish(self, source: Source) -> None:
        self.server.publish(source)

    @rule()
    def pull(self) -> None:
        self.emitter.pull_state()

    @rule(source=st.sampled_from(PUSHABLE))
    def start(self, source: Source) -> None:
        self.emitter.start(source)

    @rule(source=st.sampled_from(PUSHABLE))
    def stop(self, source: Source) -> None:
        self.emitter.stop(source)

    @rule(source=st.sampled_from([*PUSHABLE, None]))
    def pause(self, source: Source | None) -> None:
        self.emitter.pause(source)

    @rule(source=st.sampled_from([*PUSHABLE, None]))
    def unpause(self, source: Source | None) -> None:
        self.emitter.unpause(source)

    @precondition(lambda self: self.emitter.has_work)
    @rule()
    def send(self) -> None:
        outgoing = self.emitter.next_message(0.0)
        assert outgoing is not None
        if outgoing.source is STATE:
            self.states.append(outgoing.sequence)

    @invariant()
    def states_rise(self) -> None:
        assert self.states == sorted(set(self.states))

    @invariant()
    def what_is_paused_is_running(self) -> None:
        assert self.emitter.paused <= self.emitter.running

    @invariant()
    def work_is_what_next_message_gives(self) -> None:
        if not self.emitter.has_work:
            assert self.emitter.next_message(0.0) is None


TestAnyObserver = AnyObserver.TestCase
TestAnyObserver.settings = hypothesis_settings(max_examples=60, stateful_step_count=40)
