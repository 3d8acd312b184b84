from typing import Any

import pytest

from peepsd.feed.dialect import FIRST_ID, Dialect, Refusal, Verb, generation_in
from peepsd.feed.generation import Generation, decide
from peepsd.feed.modes import Source
from peepsd.feed.pb import introspection_pb2 as pb

SIGNAL, COMMAND = Generation.SIGNAL, Generation.COMMAND
SEND_STATE = pb.ClientSignal(version=pb.Version(version=1))


def message(**payload: Any) -> pb.ServerMessage:
    return pb.ServerMessage(**payload)


def ok(id: int) -> pb.ServerMessage:
    return message(response=pb.CommandResponse(id=id))


def err(id: int, text: str = "no") -> pb.ServerMessage:
    return message(response=pb.CommandResponse(id=id, result=pb.CommandResponse.ERR, error=text))


def names(sent: list[Any]) -> list[str]:
    return [pb.ClientCommand.Command.Name(command.command) for command in sent]


@pytest.mark.parametrize(
    "first",
    [
        message(runtime=pb.Runtime(send_state_interval_ms=2_000)),
        message(state=pb.State(instant_ts=1)),
    ],
)
def test_a_server_that_shows_states_or_settings_is_of_signals(first: pb.ServerMessage) -> None:
    dialect = Dialect()
    assert dialect.opened() == []
    assert dialect.received(first) == ([], None)
    assert dialect.generation is SIGNAL
    assert dialect.silent() == []
    assert dialect.request_state() == [SEND_STATE]


def test_a_silent_server_is_said_hello_to() -> None:
    dialect = Dialect()
    assert dialect.opened() == []
    [hello] = dialect.silent()
    assert decide(hello.SerializeToString()) is COMMAND
    assert hello.id > FIRST_ID
    sent, refusal = dialect.received(ok(hello.id))
    assert refusal is None
    assert names(sent) == ["REQUEST", "PUSH_ENABLE"]
    assert dialect.silent() == []
    [request] = dialect.request_state()
    assert names([request]) == ["REQUEST"]
    assert request.source == pb.ClientCommand.STATE


def test_a_runtime_without_settings_and_events_tell_nothing() -> None:
    dialect = Dialect()
    for first in (message(runtime=pb.Runtime(implementation="js")), message(event=pb.Event())):
        assert dialect.received(first) == ([], None)
    assert dialect.is_listening
    assert names(dialect.silent()) == ["HELLO"]


def test_a_request_before_the_generation_is_known_is_sent_when_it_is() -> None:
    dialect = Dialect()
    assert dialect.request_state() == []
    assert dialect.request_state() == []
    assert dialect.received(message(state=pb.State())) == ([SEND_STATE], None)
    dialect = Dialect()
    assert dialect.request_state() == []
    [hello] = dialect.silent()
    sent, _ = dialect.received(ok(hello.id))
    assert names(sent) == ["REQUEST", "PUSH_ENABLE", "REQUEST"]


@pytest.mark.parametrize(("known", "first"), [(SIGNAL, []), (COMMAND, ["HELLO"])])
def test_what_somebody_knows_already_is_not_found_out(known: Generation, first: list[str]) -> None:
    dialect = Dialect(known)
    assert names(dialect.opened()) == first
    assert dialect.silent() == []
    assert dialect.generation is known


def test_errors_are_told_apart() -> None:
    dialect = Dialect(COMMAND)
    [hello] = dialect.opened()
    assert dialect.received(err(hello.id, "who?"))[1] == Refusal("HELLO was refused: who?", None)
    dialect = Dialect(COMMAND)
    [hello] = dialect.opened()
    enable = dialect.received(ok(hello.id))[0][1]
    [request] = dialect.request_state()
    assert dialect.received(err(enable.id))[1] == Refusal("no", None)
    assert dialect.received(err(request.id))[1] == Refusal("no", request.id)
    assert dialect.received(ok(request.id)) == ([], None)
    notice = pb.ServerNotice(kind=pb.ServerNotice.REJECTED_SIGNAL, detail="bad")
    assert dialect.received(message(notice=notice))[1] == Refusal("bad", None)
    assert dialect.received(message(notice=pb.ServerNotice())) == ([], None)


@pytest.mark.parametrize(
    ("verb", "signal", "command"),
    [
        (Verb.START, "START_PUSH_EMITTER", "PUSH_ENABLE"),
        (Verb.STOP, "STOP_PUSH_EMITTER", "PUSH_DISABLE"),
        (Verb.PAUSE, "PAUSE_PUSH_EMITTER", "PUSH_PAUSE"),
        (Verb.UNPAUSE, "UNPAUSE_PUSH_EMITTER", "PUSH_RESUME"),
    ],
)
def test_emitters_are_asked_for_in_the_words_of_the_server(
    verb: Verb, signal: str, command: str
) -> None:
    asked = Dialect(SIGNAL).push(verb, Source.TRACE)
    assert isinstance(asked, pb.ClientSignal)
    assert (pb.ClientSignal.Signal.Name(asked.signal), asked.data_source) == (signal, 3)
    asked = Dialect(COMMAND).push(verb, Source.TRACE)
    assert isinstance(asked, pb.ClientCommand)
    assert (pb.ClientCommand.Command.Name(asked.command), asked.source) == (command, 3)


def test_settings_and_the_runtime_are_asked_for_in_the_words_of_the_server() -> None:
    asked = Dialect(SIGNAL).configure(700, None)
    assert isinstance(asked, pb.ClientSignal)
    assert asked.content == '{"send_state_interval_ms": 700}'
    asked = Dialect(COMMAND).configure(None, 9_000)
    assert isinstance(asked, pb.ClientCommand)
    assert asked.HasField("config")
    assert (asked.config.state_snapshot_interval_ms, asked.config.retention_period_ms) == (0, 9_000)
    for generation, is_asked in ((SIGNAL, "data_source"), (COMMAND, "source")):
        assert getattr(Dialect(generation).request_runtime(), is_asked) == Source.RUNTIME


@pytest.mark.parametrize(
    ("url", "generation"),
    [
        ("ws://h/introspect", None),
        ("ws://h/introspect?protocol=command", COMMAND),
        ("ws://h/introspect?a=b&protocol=signal", SIGNAL),
        ("ws://h/introspect?protocol=pigeon", None),
    ],
)
def test_a_generation_in_the_url(url: str, generation: Generation | None) -> None:
    assert generation_in(url) is generation
