from typing import Any

import pytest

from peepsd.feed.dialect import FIRST_ID, Dialect, Refusal
from peepsd.feed.generation import Generation, decide
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
