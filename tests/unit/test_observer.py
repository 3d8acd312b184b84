"""Conversations: frames in, messages out, without a socket."""

import pytest
import wsproto

from peepsd.feed.configuration import Settings
from peepsd.feed.framing import Framing, framing_of, unframe
from peepsd.feed.generation import Generation
from peepsd.feed.hub import Hub
from peepsd.feed.modes import INTROSPECT, OBSERVER, PATHS, Path, Source
from peepsd.feed.observer import Observer
from peepsd.feed.outgoing import encode_event, encode_runtime
from peepsd.feed.pb import introspection_pb2 as pb

Signal, Command = pb.ClientSignal, pb.ClientCommand
SIGNAL, COMMAND = Generation.SIGNAL, Generation.COMMAND


def make_hub(changed: list[Settings] | None = None) -> Hub:
    def runtime(settings: Settings) -> bytes:
        return encode_runtime(
            pb.Runtime(
                send_state_interval_ms=settings.send_state_interval_ms,
                retention_period_ms=settings.retention_period_ms,
            )
        )

    changes = [] if changed is None else changed
    hub = Hub(
        make_runtime=runtime,
        settings=Settings(1_000, 60_000),
        clock=lambda: 0.0,
        on_configured=changes.append,
    )
    publish_state(hub)
    return hub


def publish_state(hub: Hub, instant: int = 1) -> None:
    hub.publish_state(pb.State(instant_ts=instant), last_s=-1, now_s=0)


def publish_event(hub: Hub, ts: int = 1) -> None:
    hub.publish(Source.EVENTS, encode_event(pb.Event(ts=ts)))


class Talk:
    """One observer of a hub, and what it has been sent."""

    def __init__(self, hub: Hub, path: Path = INTROSPECT, generation: Generation | None = None):
        self._attached = hub.attached(path, generation, lambda: None)
        self.observer: Observer = self._attached.__enter__()
        if self.observer.greeting_wait_s == 0:
            self.observer.greet()

    def signal(self, signal: int, source: int = 0, content: str = "") -> "list[pb.ServerMessage]":
        message = Signal(version=pb.Version(version=1), content=content)
        message.signal = signal  # type: ignore[assignment]
        message.data_source = source  # type: ignore[assignment]
        return self.send(message.SerializeToString())

    def command(
        self, id: int, command: int, source: int = 0, config: pb.Configuration | None = None
    ) -> list[pb.ServerMessage]:
        message = Command(id=id, config=config)
        message.command = command  # type: ignore[assignment]
        message.source = source  # type: ignore[assignment]
        return self.send(message.SerializeToString())

    def send(self, frame: bytes | str) -> list[pb.ServerMessage]:
        self.observer.receive(frame)
        return self.received()

    def received(self) -> list[pb.ServerMessage]:
        messages = []
        while (frame := self.observer.next_frame(0.0)) is not None:
            assert framing_of(frame) is self.observer.mode.framing
            messages += [pb.ServerMessage.FromString(m) for m in unframe(frame)]
        return messages


def kinds(messages: list[pb.ServerMessage]) -> list[str | None]:
    return [message.WhichOneof("payload") for message in messages]


@pytest.mark.parametrize("generation", [None, SIGNAL, COMMAND])
def test_introspect_greets_at_once_and_then_sends_nothing_unasked(
    generation: Generation | None,
) -> None:
    hub = make_hub()
    talk = Talk(hub, INTROSPECT, generation)
    assert kinds(talk.received()) == ["runtime", "state"]
    publish_state(hub)
    publish_event(hub)
    assert talk.received() == []


def test_observer_waits_for_the_first_frame_and_then_pushes_to_listeners() -> None:
    hub = make_hub()
    talk = Talk(hub, OBSERVER)
    assert talk.observer.greeting_wait_s > 0
    assert talk.received() == []
    talk.observer.greet()
    assert kinds(talk.received()) == ["runtime", "state"]
    publish_event(hub)
    publish_state(hub)
    assert kinds(talk.received()) == ["event", "state"]


def test_observer_asked_for_commands_is_silent_until_hello() -> None:
    hub = make_hub()
    talk = Talk(hub, OBSERVER, COMMAND)
    publish_state(hub)
    assert talk.received() == []
    [answer] = talk.command(1, Command.HELLO)
    assert (answer.response.id, answer.response.result) == (1, pb.CommandResponse.OK)
    assert answer.response.effective_config.state_snapshot_interval_ms == 1_000


def test_a_late_hello_ends_what_was_pushed_meanwhile() -> None:
    hub = make_hub()
    talk = Talk(hub, OBSERVER)
    talk.observer.greet()
    assert kinds(talk.received()) == ["runtime", "state"]
    assert kinds(talk.send(bytes.fromhex("0a0010012a0708c0a90710d00f"))) == ["response"]
    publish_state(hub)
    assert talk.received() == []


def test_the_generation_is_kept_once_it_is_known() -> None:
    talk = Talk(make_hub(), INTROSPECT)
    talk.received()
    talk.signal(Signal.SEND_DATA, Signal.RUNTIME)
    assert talk.observer.generation is SIGNAL
    # Bytes of a HELLO are now read as what they are as a signal: an unpause.
    assert talk.command(2, Command.HELLO) == []


@pytest.mark.parametrize("path", PATHS)
def test_a_first_signal_is_both_greeted_and_obeyed(path: Path) -> None:
    talk = Talk(make_hub(), path)
    talk.received()
    messages = talk.signal(Signal.SEND_DATA, Signal.RUNTIME)
    assert kinds(messages)[0] == "runtime"


@pytest.mark.parametrize(
    ("signal", "source", "content", "reason"),
    [
        (3, 0, "", "no signal 3"),
        (99, 0, "", "no signal 99"),
        (Signal.SEND_DATA, Signal.EVENTS, "", "EVENTS cannot be pulled"),
        (Signal.SEND_DATA, 77, "", "no source 77"),
        (Signal.START_PUSH_EMITTER, Signal.RUNTIME, "", "RUNTIME cannot be pushed"),
        (Signal.CONFIG_EMITTER, 0, "{", "not JSON"),
        (Signal.CONFIG_EMITTER, 0, '{"sendStateIntervalMs": "x"}', "not a number"),
    ],
)
def test_a_signal_that_cannot_be_used_is_answered_by_a_reason(
    signal: int, source: int, content: str, reason: str
) -> None:
    talk = Talk(make_hub(), INTROSPECT, SIGNAL)
    talk.received()
    [answer] = talk.signal(signal, source, content)
    assert answer.notice.kind == pb.ServerNotice.REJECTED_SIGNAL
    assert reason in answer.notice.detail
    assert talk.observer.closing is None


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\xff\xff", 1007),
        (b'{"signal": 0}', 1007),
        (b"\x22\x02\xff\xfe", 1007),  # content that is no UTF-8
        ("hello", 1003),
    ],
)
def test_a_malformed_frame_ends_the_connection_with_a_reason(frame: bytes | str, code: int) -> None:
    talk = Talk(make_hub())
    talk.send(frame)
    assert talk.observer.closing is not None
    assert talk.observer.closing.code == code
    assert 10 < len(talk.observer.closing.reason.encode()) <= 123


def test_wrong_types_are_malformed_after_the_first_frame_too() -> None:
    talk = Talk(make_hub())
    talk.signal(Signal.SEND_DATA)
    talk.send(b"\x12\x01a")
    assert talk.observer.closing is not None


def test_r32_the_old_ready_text_is_a_ready_signal() -> None:
    hub = make_hub()
    talk = Talk(hub)
    talk.received()
    publish_state(hub)
    assert kinds(talk.send("ready")) == ["state"]


def test_config_is_answered_by_the_runtime_if_it_changed_or_was_refused() -> None:
    changed: list[Settings] = []
    talk = Talk(make_hub(changed))
    talk.received()
    [answer] = talk.signal(Signal.CONFIG_EMITTER, content='{"sendStateIntervalMs": 3000}')
    assert answer.runtime.send_state_interval_ms == 3_000
    assert talk.signal(Signal.CONFIG_EMITTER, content='{"sendStateIntervalMs": 3000}') == []
    assert talk.signal(Signal.CONFIG_EMITTER, content="{}") == []
    [answer] = talk.signal(Signal.CONFIG_EMITTER, content='{"sendStateIntervalMs": 1}')
    assert answer.runtime.send_state_interval_ms == 500
    [answer] = talk.signal(Signal.CONFIG_EMITTER, content='{"sendStateIntervalMs": 1}')
    assert answer.runtime.send_state_interval_ms == 500
    assert changed == [Settings(3_000, 60_000), Settings(500, 60_000)]


def test_config_of_one_is_told_to_nobody_else() -> None:
    changes: list[Settings] = []
    hub = make_hub(changes)
    asker, other, silent = Talk(hub), Talk(hub), Talk(hub, OBSERVER, COMMAND)
    other.received()
    asker.signal(Signal.CONFIG_EMITTER, content='{"sendStateIntervalMs": 3000}')
    assert (other.received(), silent.received()) == ([], [])
    assert changes == [Settings(3_000, 60_000)]
    assert hub.intervals_ms == {1_000, 3_000}
    [told] = other.signal(Signal.SEND_DATA, Signal.RUNTIME)
    assert told.runtime.send_state_interval_ms == 1_000


def test_what_ended_is_kept_for_whoever_wants_to_hear_of_it_longest() -> None:
    hub = make_hub()
    asker = Talk(hub)
    assert hub.retention_ms == 60_000
    asker.signal(Signal.CONFIG_EMITTER, content='{"retentionPeriodMs": 90000}')
    assert hub.retention_ms == 90_000


def test_pause_covers_one_source_on_introspect_and_all_on_observer() -> None:
    hub = make_hub()
    introspect, observer = Talk(hub, INTROSPECT, SIGNAL), Talk(hub, OBSERVER, SIGNAL)
    introspect.signal(Signal.START_PUSH_EMITTER, Signal.STATE)
    introspect.signal(Signal.START_PUSH_EMITTER, Signal.EVENTS)
    observer.received()
    for talk in (introspect, observer):
        talk.signal(Signal.PAUSE_PUSH_EMITTER)
    publish_event(hub)
    publish_state(hub)
    assert kinds(introspect.received()) == ["event"]
    assert kinds(observer.received()) == []
    assert kinds(observer.signal(Signal.UNPAUSE_PUSH_EMITTER)) == ["event", "state"]


def greeted(hub: Hub) -> Talk:
    talk = Talk(hub, OBSERVER)
    assert kinds(talk.command(1, Command.HELLO, config=pb.Configuration())) == ["response"]
    return talk


def test_v1_commands_before_hello_are_refused() -> None:
    talk = Talk(make_hub(), OBSERVER, COMMAND)
    [answer] = talk.command(7, Command.REQUEST, Command.RUNTIME)
    assert (answer.response.id, answer.response.result) == (7, pb.CommandResponse.ERR)
    assert "HELLO" in answer.response.error


def test_v2_a_second_hello_is_refused() -> None:
    [answer] = greeted(make_hub()).command(2, Command.HELLO)
    assert answer.response.result == pb.CommandResponse.ERR


def test_v2_hello_carries_a_configuration() -> None:
    talk = Talk(make_hub(), OBSERVER)
    [answer] = talk.send(bytes.fromhex("0a0010012a0708c0a90710d00f"))
    config = answer.response.effective_config
    assert (config.retention_period_ms, config.state_snapshot_interval_ms) == (120_000, 2_000)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (Command.STATE, ["state"]),
        (Command.RUNTIME, ["runtime"]),
        (Command.EVENTS, ["response"]),
        (Command.TRACE, ["response"]),
        (9, ["response"]),
    ],
)
def test_v3_request_is_answered_by_what_it_asks_for(source: int, expected: list[str]) -> None:
    messages = greeted(make_hub()).command(2, Command.REQUEST, source)
    assert kinds(messages) == expected
    for message in messages:
        if message.HasField("response"):
            assert message.response.result == pb.CommandResponse.ERR


@pytest.mark.parametrize(
    ("source", "result"),
    [
        (Command.STATE, pb.CommandResponse.OK),
        (Command.EVENTS, pb.CommandResponse.OK),
        (Command.TRACE, pb.CommandResponse.OK),
        (Command.RUNTIME, pb.CommandResponse.ERR),
    ],
)
def test_v4_what_can_be_pushed(source: int, result: pb.CommandResponse.Result) -> None:
    talk = greeted(make_hub())
    for command in (Command.PUSH_ENABLE, Command.PUSH_ENABLE, Command.PUSH_DISABLE):
        assert talk.command(2, command, source)[0].response.result == result


def test_v5_pause_and_resume_cover_all_sources() -> None:
    hub = make_hub()
    talk = greeted(hub)
    talk.command(2, Command.PUSH_ENABLE, Command.EVENTS)
    talk.command(3, Command.PUSH_ENABLE, Command.STATE)
    talk.command(4, Command.PUSH_PAUSE)
    publish_event(hub)
    publish_state(hub)
    assert talk.received() == []
    assert kinds(talk.command(5, Command.PUSH_RESUME)) == ["response", "event", "state"]


def test_v6_update_config_needs_config_and_keeps_what_is_absent() -> None:
    talk = greeted(make_hub())
    [refusal] = talk.command(2, Command.UPDATE_CONFIG)
    assert refusal.response.result == pb.CommandResponse.ERR
    [answer] = talk.command(
        3, Command.UPDATE_CONFIG, config=pb.Configuration(state_snapshot_interval_ms=1)
    )
    config = answer.response.effective_config
    assert (config.retention_period_ms, config.state_snapshot_interval_ms) == (60_000, 500)


@pytest.mark.parametrize("command", [6, 8, 1000])
def test_v7_an_unknown_command_is_an_error_with_its_id(command: int) -> None:
    [answer] = greeted(make_hub()).command(2**63, command)
    assert (answer.response.id, answer.response.result) == (2**63, pb.CommandResponse.ERR)


def test_a_prefixed_frame_takes_along_what_waits_a_bare_one_does_not() -> None:
    hub = make_hub()
    for path in PATHS:
        talk = Talk(hub, path, SIGNAL)
        talk.received()
        talk.signal(Signal.START_PUSH_EMITTER, Signal.EVENTS)
        for ts in range(5):
            publish_event(hub, ts)
        frame = talk.observer.next_frame(0.0)
        assert frame is not None
        expected = 1 if talk.observer.mode.framing is Framing.BARE else 5
        assert len(unframe(frame)) == expected


def test_a_write_is_all_that_waits_in_whole_frames() -> None:
    hub = make_hub()
    for path in PATHS:
        talk, other = Talk(hub, path, SIGNAL), Talk(hub, path, SIGNAL)
        for each in (talk, other):
            each.received()
            each.signal(Signal.START_PUSH_EMITTER, Signal.EVENTS)
        for ts in range(5):
            publish_event(hub, ts)
        client = wsproto.Connection(wsproto.ConnectionType.CLIENT)
        data = talk.observer.next_write(0.0)
        assert data is not None
        client.receive_data(data)
        frames = [bytes(event.data) for event in client.events()]  # type: ignore[attr-defined]
        assert frames == list(iter(lambda o=other: o.observer.next_frame(0.0), None))
        assert talk.observer.next_write(0.0) is None


def test_flooding_without_reading_ends_the_connection() -> None:
    hub = make_hub()
    observer = Talk(hub, OBSERVER, COMMAND).observer
    for _ in range(300):
        observer.receive(Command(id=1, command=Command.REQUEST).SerializeToString())
    assert observer.closing is not None
    assert observer.closing.code == 1008
