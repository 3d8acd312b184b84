"""How to talk to an introspection server that we dialled, and which sort it is. Pure.

Servers of the first generation push from the start, or greet and can be pulled; those of the
second are silent (or send all but States) until they hear HELLO. Both accept nearly every frame
of the other as something else, so this listens first and speaks when it knows, or when the
server has been silent for SILENCE_S. Refuses to know sockets and framing.
"""

import enum
import json
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from .generation import Generation
from .modes import Source
from .pb import introspection_pb2 as pb

SILENCE_S = 0.6
"""Longer than our own /observer waits for a first frame."""

FIRST_ID = 1000
"""Ids of commands start here: a server that took our commands for signals would see numbers
that are no signals, and not a pause."""

_HELLO_CONFIG = pb.Configuration(retention_period_ms=120_000, state_snapshot_interval_ms=2_000)
"""What deployed observers ask for; some servers refuse a HELLO without."""

ClientMessage = pb.ClientSignal | pb.ClientCommand


class Verb(enum.Enum):
    """What can be asked of a push emitter: the signal for it, and the command."""

    START = (pb.ClientSignal.START_PUSH_EMITTER, pb.ClientCommand.PUSH_ENABLE)
    STOP = (pb.ClientSignal.STOP_PUSH_EMITTER, pb.ClientCommand.PUSH_DISABLE)
    PAUSE = (pb.ClientSignal.PAUSE_PUSH_EMITTER, pb.ClientCommand.PUSH_PAUSE)
    UNPAUSE = (pb.ClientSignal.UNPAUSE_PUSH_EMITTER, pb.ClientCommand.PUSH_RESUME)


class _Stage(enum.Enum):
    LISTENING = enum.auto()
    GREETING = enum.auto()
    KNOWN = enum.auto()


@dataclass(frozen=True, slots=True)
class Refusal:
    """The server answered with an error. request_id None: not to a request for a State."""

    text: str
    request_id: int | None


class Dialect:
    """One connection's. Feed it every message; send what it gives."""

    def __init__(self, generation: Generation | None = None) -> None:
        """`generation`: what somebody knows already; None: find out."""
        self._stage = _Stage.LISTENING
        self._generation = generation
        self._next_id = FIRST_ID
        self._hello_id = 0
        self._early_requests = 0
        self._requests: set[int] = set()

    @property
    def generation(self) -> Generation | None:
        """Which generation the server is of; None: not known yet."""
        return self._generation

    @property
    def is_known(self) -> bool:
        """Whether the server can be asked for anything."""
        return self._stage is _Stage.KNOWN

    @property
    def is_listening(self) -> bool:
        """Whether silence would tell something."""
        return self._stage is _Stage.LISTENING

    def opened(self) -> list[ClientMessage]:
        """What to send first."""
        if self._generation is Generation.SIGNAL:
            self._stage = _Stage.KNOWN
        return [self._hello()] if self._generation is Generation.COMMAND else []

    def silent(self) -> list[ClientMessage]:
        """Nothing told the generation for SILENCE_S."""
        return [self._hello()] if self.is_listening else []

    def received(self, message: pb.ServerMessage) -> tuple[list[ClientMessage], Refusal | None]:
        """What to send on this message, and whether it is an error."""
        if message.HasField("response"):
            return self._answered(message.response)
        if message.HasField("notice") and message.notice.kind == pb.ServerNotice.REJECTED_SIGNAL:
            return [], Refusal(message.notice.detail, None)
        if self.is_listening and _is_of_signals(message):
            self._generation, self._stage = Generation.SIGNAL, _Stage.KNOWN
            return self._late_requests(), None
        return [], None

    def request_state(self) -> list[ClientMessage]:
        """Ask for a State, now or as soon as it is known how."""
        if self._stage is not _Stage.KNOWN:
            self._early_requests += 1
            return []
        if self._generation is Generation.SIGNAL:
            return [_signal(pb.ClientSignal.SEND_DATA, Source.STATE)]
        command = self._command(pb.ClientCommand.REQUEST)
        self._requests.add(command.id)
        return [command]

    def request_runtime(self) -> ClientMessage:
        """Ask for the metadata. This and what follows: once it is known how."""
        if self._generation is Generation.SIGNAL:
            return _signal(pb.ClientSignal.SEND_DATA, Source.RUNTIME)
        return self._command(pb.ClientCommand.REQUEST, Source.RUNTIME)

    def push(self, verb: Verb, source: Source) -> ClientMessage:
        """Have an emitter started, stopped, paused or unpaused; a pause of a server of commands
        covers all of them."""
        signal, command = verb.value
        if self._generation is Generation.SIGNAL:
            return _signal(signal, source)
        return self._command(command, source)

    def configure(self, interval_ms: int | None, retention_ms: int | None) -> ClientMessage:
        """Ask for settings; None: leave as it is."""
        if self._generation is Generation.SIGNAL:
            asked = {"send_state_interval_ms": interval_ms, "retention_period_ms": retention_ms}
            content = {name: value for name, value in asked.items() if value is not None}
            return _signal(pb.ClientSignal.CONFIG_EMITTER, Source.STATE, json.dumps(content))
        command = self._command(pb.ClientCommand.UPDATE_CONFIG)
        command.config.SetInParent()
        command.config.state_snapshot_interval_ms = interval_ms or 0
        command.config.retention_period_ms = retention_ms or 0
        return command

    def _answered(self, response: pb.CommandResponse) -> tuple[list[ClientMessage], Refusal | None]:
        is_ok = response.result == pb.CommandResponse.OK
        if response.id == self._hello_id and self._stage is _Stage.GREETING:
            if not is_ok:
                return [], Refusal(f"HELLO was refused: {response.error}", None)
            self._stage = _Stage.KNOWN
            return [
                self._command(pb.ClientCommand.REQUEST, Source.RUNTIME),
                # Some servers answer a request with a State only while States are pushed.
                self._command(pb.ClientCommand.PUSH_ENABLE),
                *self._late_requests(),
            ], None
        is_request = response.id in self._requests
        self._requests.discard(response.id)
        if is_ok:
            return [], None
        return [], Refusal(response.error or "ERR", response.id if is_request else None)

    def _hello(self) -> ClientMessage:
        self._generation, self._stage = Generation.COMMAND, _Stage.GREETING
        hello = self._command(pb.ClientCommand.HELLO)
        hello.config.CopyFrom(_HELLO_CONFIG)
        self._hello_id = hello.id
        return hello

    def _command(
        self, command: pb.ClientCommand.Command, source: Source = Source.STATE
    ) -> pb.ClientCommand:
        self._next_id += 1
        return pb.ClientCommand(
            version=pb.Version(version=1),
            id=self._next_id,
            command=command,
            source=pb.ClientCommand.Source.Name(source),
        )

    def _late_requests(self) -> list[ClientMessage]:
        count, self._early_requests = self._early_requests, 0
        return self.request_state() if count else []


def generation_in(url: str) -> Generation | None:
    """`?protocol=signal|command` tells us what it tells our own server; None: nothing."""
    asked = parse_qs(urlsplit(url).query).get("protocol", [""])[0]
    return Generation(asked) if asked in {g.value for g in Generation} else None


def _signal(signal: pb.ClientSignal.Signal, source: Source, content: str = "") -> pb.ClientSignal:
    return pb.ClientSignal(
        version=pb.Version(version=1),
        signal=signal,
        data_source=pb.ClientSignal.DataSource.Name(source),
        content=content,
    )


def _is_of_signals(message: pb.ServerMessage) -> bool:
    """Servers of commands send no State unasked, and no settings in their Runtime."""
    return message.HasField("state") or message.runtime.send_state_interval_ms > 0
