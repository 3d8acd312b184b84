"""What each ClientSignal does (the first generation: R4 to R16, R18, R28). Pure.

A signal has no answer of its own; one that cannot be used is answered by a notice that says why.
"""

from collections.abc import Callable

from .configuration import MalformedConfiguration, wish_from_json
from .emitter import Emitter
from .modes import Mode, Source, WrongSource, to_pull, to_push
from .outgoing import encode_notice
from .pb import introspection_pb2 as pb


class _Unusable(Exception):
    """Why a signal cannot be used."""


def act(signal: pb.ClientSignal, emitter: Emitter, mode: Mode) -> None:
    """Do what `signal` says, or send a notice that says why not."""
    try:
        action = _ACTIONS.get(signal.signal)
        if action is None:
            raise _Unusable(
                f"there is no signal {signal.signal}; START_PUSH_EMITTER is"
                f" {pb.ClientSignal.START_PUSH_EMITTER}, STOP_PUSH_EMITTER is"
                f" {pb.ClientSignal.STOP_PUSH_EMITTER}"
            )
        action(signal, emitter, mode)
    except (_Unusable, WrongSource, MalformedConfiguration) as exc:
        notice = pb.ServerNotice(kind=pb.ServerNotice.REJECTED_SIGNAL, detail=str(exc))
        emitter.answer(encode_notice(notice))


def _send_data(signal: pb.ClientSignal, emitter: Emitter, _mode: Mode) -> None:
    source = to_pull(signal.data_source)
    if source is Source.STATE:
        emitter.pull_state()
    else:
        emitter.pull_runtime()


def _start(signal: pb.ClientSignal, emitter: Emitter, _mode: Mode) -> None:
    emitter.start(to_push(signal.data_source))


def _stop(signal: pb.ClientSignal, emitter: Emitter, _mode: Mode) -> None:
    emitter.stop(to_push(signal.data_source))


def _pause(signal: pb.ClientSignal, emitter: Emitter, mode: Mode) -> None:
    emitter.pause(None if mode.pause_covers_all else to_push(signal.data_source))


def _unpause(signal: pb.ClientSignal, emitter: Emitter, mode: Mode) -> None:
    emitter.unpause(None if mode.pause_covers_all else to_push(signal.data_source))


def _configure(signal: pb.ClientSignal, emitter: Emitter, _mode: Mode) -> None:
    wish = wish_from_json(signal.content)
    before = emitter.settings
    effective = emitter.configure(wish)
    if effective != before or not wish.is_fulfilled_by(effective):
        emitter.pull_runtime()


_ACTIONS: dict[int, Callable[[pb.ClientSignal, Emitter, Mode], None]] = {
    pb.ClientSignal.SEND_DATA: _send_data,
    pb.ClientSignal.PAUSE_PUSH_EMITTER: _pause,
    pb.ClientSignal.UNPAUSE_PUSH_EMITTER: _unpause,
    pb.ClientSignal.CONFIG_EMITTER: _configure,
    pb.ClientSignal.START_PUSH_EMITTER: _start,
    pb.ClientSignal.STOP_PUSH_EMITTER: _stop,
}
