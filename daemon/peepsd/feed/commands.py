"""What each ClientCommand does and how it is answered (the second generation, V1 to V7). Pure.

Every command but a successful REQUEST is answered by a CommandResponse with its id; a REQUEST
is answered by what it asked for alone, as deployed servers do. Whether HELLO was said is the
caller's to know.
"""

from collections.abc import Callable

from .configuration import Settings, wish_from_numbers
from .emitter import Emitter
from .modes import Source, WrongSource, to_pull, to_push
from .outgoing import encode_response
from .pb import introspection_pb2 as pb


class _Refused(Exception):
    """Why a command is answered by ERR."""


def act(command: pb.ClientCommand, emitter: Emitter) -> None:
    """Do what `command` says, and answer it."""
    try:
        action = _ACTIONS.get(command.command)
        if action is None:
            raise _Refused(f"there is no command {command.command}")
        action(command, emitter)
    except (_Refused, WrongSource) as exc:
        refuse(command, emitter, str(exc))


def refuse(command: pb.ClientCommand, emitter: Emitter, error: str) -> None:
    """Answer with ERR."""
    response = pb.CommandResponse(id=command.id, result=pb.CommandResponse.ERR, error=error)
    emitter.answer(encode_response(response))


def _hello(command: pb.ClientCommand, emitter: Emitter) -> None:
    _answer(command, emitter, _apply_config(command, emitter))


def _update_config(command: pb.ClientCommand, emitter: Emitter) -> None:
    if not command.HasField("config"):
        raise _Refused("UPDATE_CONFIG needs config")
    _answer(command, emitter, _apply_config(command, emitter))


def _request(command: pb.ClientCommand, emitter: Emitter) -> None:
    if to_pull(command.source) is Source.STATE:
        emitter.pull_state()
    else:
        emitter.pull_runtime()


def _enable(command: pb.ClientCommand, emitter: Emitter) -> None:
    source = to_push(command.source)
    _answer(command, emitter)
    emitter.start(source)


def _disable(command: pb.ClientCommand, emitter: Emitter) -> None:
    emitter.stop(to_push(command.source))
    _answer(command, emitter)


def _pause(command: pb.ClientCommand, emitter: Emitter) -> None:
    emitter.pause(None)
    _answer(command, emitter)


def _resume(command: pb.ClientCommand, emitter: Emitter) -> None:
    _answer(command, emitter)
    emitter.unpause(None)


_ACTIONS: dict[int, Callable[[pb.ClientCommand, Emitter], None]] = {
    pb.ClientCommand.HELLO: _hello,
    pb.ClientCommand.REQUEST: _request,
    pb.ClientCommand.PUSH_ENABLE: _enable,
    pb.ClientCommand.PUSH_DISABLE: _disable,
    pb.ClientCommand.PUSH_PAUSE: _pause,
    pb.ClientCommand.PUSH_RESUME: _resume,
    pb.ClientCommand.UPDATE_CONFIG: _update_config,
}


def _apply_config(command: pb.ClientCommand, emitter: Emitter) -> Settings:
    config = command.config
    return emitter.configure(
        wish_from_numbers(config.retention_period_ms, config.state_snapshot_interval_ms)
    )


def _answer(command: pb.ClientCommand, emitter: Emitter, effective: Settings | None = None) -> None:
    response = pb.CommandResponse(id=command.id)
    if effective is not None:
        response.effective_config.retention_period_ms = effective.retention_period_ms
        response.effective_config.state_snapshot_interval_ms = effective.send_state_interval_ms
    emitter.answer(encode_response(response))
