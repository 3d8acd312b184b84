"""One observer's conversation: its frames in, what it is owed out. Pure.

Decides the mode (path, generation, first frame), when the greeting is due, and which frames end
the connection. Refuses to know WebSockets: it is handed frames, and asked for frames.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import assert_never

from google.protobuf.message import DecodeError

from . import commands, signals
from .emitter import MAX_ANSWERS, Emitter, Server
from .framing import VERSION_BYTES, Framing, websocket_frame
from .generation import Generation, NotProtobuf, decide, scan
from .modes import Mode, Path, Source
from .outgoing import Outgoing
from .pb import introspection_pb2 as pb

CLOSE_UNSUPPORTED = 1003
CLOSE_MALFORMED = 1007
CLOSE_POLICY = 1008
CLOSE_TOO_BIG = 1009
CLOSE_TRY_LATER = 1013

MAX_WRITE_BYTES = 64 * 1024
"""No further message is added to a frame, or to a write, of this size."""

_READY = "ready"
"""What clients sent before signals were protobuf messages."""


@dataclass(frozen=True, slots=True)
class Close:
    """End the connection with this WebSocket code; the reason is for people (<= 123 bytes)."""

    code: int
    reason: str


class Observer:
    """The state of one connection."""

    def __init__(
        self,
        path: Path,
        server: Server,
        *,
        generation: Generation | None = None,
        max_backlog_bytes: int,
    ) -> None:
        self.path = path
        self.generation = generation
        self.emitter = Emitter(server, max_backlog_bytes)
        self.closing: Close | None = None
        self.said_hello = False

    @property
    def mode(self) -> Mode:
        """How it is served for now."""
        return self.path.unasked if self.generation is None else self.path.modes[self.generation]

    @property
    def greeting_wait_s(self) -> float:
        """How long to wait for its first frame before `greet`."""
        return 0.0 if self.generation is not None else self.path.first_frame_wait_s

    def greet(self) -> None:
        """Send what this mode sends unasked (R3). Once; later calls do nothing."""
        if self.emitter.is_greeted or not (self.mode.greeting or self.mode.pushes):
            return
        self.emitter.greet()
        if Source.RUNTIME in self.mode.greeting:
            self.emitter.pull_runtime()
        if Source.STATE in self.mode.greeting:
            self.emitter.pull_state()
        for source in self.mode.pushes:
            self.emitter.start(source)

    def next_frame(self, now: float) -> bytes | None:
        """The payload of the next WebSocket frame; None: nothing is due.

        `now` is on the clock of Outgoing.at (s). A prefixed frame takes along whatever else
        is waiting, up to MAX_WRITE_BYTES.
        """
        if self.mode.framing is Framing.BARE:
            outgoing = self.emitter.next_message(now)
            return None if outgoing is None else outgoing.payload
        records = [outgoing.record for outgoing in self._next_messages(now)]
        return b"".join([VERSION_BYTES, *records]) if records else None

    def next_write(self, now: float) -> bytes | None:
        """The same as whole WebSocket frames: one that is prefixed, or as many bare ones as
        are waiting, up to MAX_WRITE_BYTES."""
        if self.mode.framing is Framing.BARE:
            return b"".join(outgoing.frame for outgoing in self._next_messages(now)) or None
        payload = self.next_frame(now)
        return None if payload is None else websocket_frame(payload)

    def _next_messages(self, now: float) -> Iterator[Outgoing]:
        size = 0
        while size < MAX_WRITE_BYTES and (outgoing := self.emitter.next_message(now)) is not None:
            size += outgoing.size
            yield outgoing

    def receive(self, frame: bytes | str) -> None:
        """Act on one frame. Sets `closing` if the connection cannot go on."""
        if self.closing is not None:
            return
        try:
            self._receive(frame)
        except (NotProtobuf, DecodeError) as exc:
            wanted = (self.generation or Generation.SIGNAL).value
            self.closing = Close(
                CLOSE_MALFORMED, f"not a protobuf Client{wanted.capitalize()}: {exc}"[:120]
            )
        if self.emitter.is_overrun:
            self.closing = Close(CLOSE_POLICY, f"more than {MAX_ANSWERS} answers were left unread")

    def _receive(self, frame: bytes | str) -> None:
        if isinstance(frame, str):
            if frame.strip() != _READY:
                self.closing = Close(
                    CLOSE_UNSUPPORTED, "text is not understood: send protobuf in binary frames"
                )
                return
            frame = b""  # the signal of the same meaning
        self._settle_generation(frame)
        match self.generation:
            case Generation.SIGNAL | None:
                signals.act(pb.ClientSignal.FromString(frame), self.emitter, self.mode)
            case Generation.COMMAND:
                self._command(pb.ClientCommand.FromString(frame))
            case _ as never:
                assert_never(never)

    def _settle_generation(self, frame: bytes) -> None:
        if self.generation is not None:
            for _ in scan(frame):
                pass  # a frame of wrong types decodes to nothing and would pass unseen
            return
        self.generation = decide(frame)
        if self.generation is Generation.COMMAND:
            # Whatever it was pushed while it was taken for a listener ends here.
            for source in self.path.unasked.pushes:
                self.emitter.stop(source)
        self.greet()

    def _command(self, command: pb.ClientCommand) -> None:
        is_hello = command.command == pb.ClientCommand.HELLO
        refusal = None
        if is_hello and self.said_hello:
            refusal = "HELLO was said already"
        elif not is_hello and not self.said_hello and self.mode.hello_required:
            refusal = "say HELLO first"
        if refusal is not None:
            commands.refuse(command, self.emitter, refusal)
            return
        if is_hello:
            self.said_hello = True
            self.emitter.greet()
        commands.act(command, self.emitter)
