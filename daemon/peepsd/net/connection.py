"""One stream of the snapshot protocol: a reader and a writer task, joined by a channel.

Decides when a peer is cut: a forbidden length, a stall inside a frame, a hello that does not
come, a request that it has not read. Whatever goes wrong here stays here. Refuses to know what
messages mean (net.intake) and who accepts connections (net.listener).

Protocol: docs/protocol.md.
"""

import math
import time
from dataclasses import dataclass

import structlog
import trio

from peeps.wire.errors import FrameLengthError
from peeps.wire.frames import FrameDecoder, encode_frame
from peeps.wire.messages import SnapshotRequest

from ..core.happenings import Bus, ProcessDisconnected
from ..core.limits import PeerLimits
from ..core.registry import Peer, Registry
from ..core.session import Session
from .budget import Hold, ReceiveBudget
from .intake import Frame, Intake, Refused
from .problems import Problems
from .rounds import SnapshotRounds

REQUEST_QUEUE = 32
RECEIVE_BYTES = 128 * 1024
STOPPING = "peepsd is stopping"

log = structlog.get_logger("peepsd.net")


class Cut(Exception):
    """We end this connection; the text says why, event_kind how it goes on record."""

    def __init__(self, reason: str, event_kind: str) -> None:
        super().__init__(reason)
        self.event_kind = event_kind


@dataclass(frozen=True, slots=True)
class Services:
    """What every connection shares."""

    registry: Registry
    rounds: SnapshotRounds
    intake: Intake
    bus: Bus
    problems: Problems
    budget: ReceiveBudget
    limits: PeerLimits
    max_frame_bytes: int
    token: str | None = None


async def serve_stream(stream: trio.abc.Stream, local: str, remote: str, shared: Services) -> None:
    """Serve one peer until it or we end it. Never raises but for cancellation."""
    await Connection(stream, local, remote, shared).run()


class Connection:
    """The tasks and the state of one peer's stream."""

    def __init__(self, stream: trio.abc.Stream, local: str, remote: str, shared: Services) -> None:
        self._stream = stream
        self._shared = shared
        self._session = Session(shared.token)
        self._decoder = FrameDecoder(shared.max_frame_bytes)
        self._requests, self._to_send = trio.open_memory_channel[SnapshotRequest](REQUEST_QUEUE)
        self.peer: Peer = shared.registry.new_peer(
            local_address=local,
            remote_address=remote,
            now_ns=time.time_ns(),
            ask=self._ask,
            cut=self._make_room,
        )
        self._scope = trio.CancelScope()

    async def run(self) -> None:
        """Both tasks, then the good-byes; contains every failure of this connection."""
        reason = STOPPING
        try:
            if self._session.is_admitted:
                self._shared.intake.admit(self.peer)
            async with trio.open_nursery(strict_exception_groups=True) as nursery:
                self._scope = nursery.cancel_scope
                nursery.start_soon(self._write)
                reason = await self._read()
                nursery.cancel_scope.cancel()
        except* Cut as cuts:
            reason = str(cuts.exceptions[0])
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            reason = self._how_it_ended("the connection broke")
        except* Exception as errors:
            reason = "an error of peepsd's own; see its log"
            log.exception("connection failed", peer=self.peer.proc_key, exc_info=errors)
        finally:
            self._good_bye(reason)
            await trio.aclose_forcefully(self._stream)

    def _good_bye(self, reason: str) -> None:
        peer, shared = self.peer, self._shared
        if shared.registry.disconnect(peer.connection_id) is not None:
            if reason is STOPPING:
                shared.rounds.stopped(peer.connection_id)
            else:
                shared.rounds.gone(peer.connection_id, reason)
            shared.bus.publish(
                ProcessDisconnected(time.time_ns(), peer.connection_id, peer.proc_key, reason)
            )

    def _make_room(self, reason: str) -> None:
        """End this connection from outside: to everybody else it has ended when this returns."""
        self._shared.problems.of_peer(self.peer, "evicted_connection", reason)
        self._good_bye(reason)
        self._scope.cancel()

    # writing

    def _ask(self, request: SnapshotRequest) -> bool:
        try:
            self._requests.send_nowait(request)
        except (trio.WouldBlock, trio.BrokenResourceError):
            return False
        return True

    async def _write(self) -> None:
        async for request in self._to_send:
            frame = encode_frame(request.to_json())
            await self._stream.send_all(frame)
            self.peer.bytes_out += len(frame)
            self.peer.frames_out += 1
            self._shared.rounds.sent(self.peer.connection_id, request.snapshot_id)

    # reading

    async def _read(self) -> str:
        """Frames until the stream ends; returns why it did. Raises Cut."""
        while True:
            async with self._shared.budget.frame() as hold:
                frame = await self._read_frame(hold)
                if frame is None:
                    return self._how_it_ended("closed by the process")
                try:
                    await self._shared.intake.frame(self.peer, self._session, frame)
                except Refused as exc:
                    raise self._cut(f"refused: {exc}", "unauthorised") from None
            if self._decoder.buffered_bytes:
                # The next frame may be here already: others have their turn before it.
                await trio.lowlevel.checkpoint()

    async def _read_frame(self, hold: Hold) -> Frame | None:
        """The next frame; None at the end of the stream."""
        decoder, limits = self._decoder, self._shared.limits
        started_s = trio.current_time()
        await self._shared.budget.take(hold, decoder.buffered_bytes)
        while True:
            try:
                payload = decoder.next_frame()
            except FrameLengthError as exc:
                raise self._cut(str(exc), "frame_too_large") from None
            if payload is not None:
                return Frame(payload)
            if decoder.is_mid_frame:
                deadline = limits.frame_deadline(
                    started_s, decoder.buffered_bytes, trio.current_time()
                )
                what = f"it stalled inside a frame after {decoder.buffered_bytes} bytes"
                data = await self._receive(deadline, what, "slow_frame")
            else:
                data = await self._receive_first()
                started_s = trio.current_time()
            if not data:
                return None
            decoder.feed(data)
            before_s = trio.current_time()
            await self._shared.budget.take(hold, len(data))
            started_s += trio.current_time() - before_s  # we did not read: not the peer's fault

    async def _receive_first(self) -> bytes | bytearray:
        """Between frames a peer may be silent for as long as it likes, but for two cases."""
        limits, peer = self._shared.limits, self.peer
        if not self._session.is_admitted:
            deadline = trio.current_time() + limits.hello_s
            return await self._receive(deadline, "no hello came", "unauthorised")
        while peer.frames_in == 0:
            asked_s = peer.first_asked_s
            now_s = trio.current_time()
            wake_s = (now_s if asked_s is None else asked_s) + limits.first_byte_s
            with trio.move_on_at(wake_s):
                return await self._receive(math.inf, "", "")
            if asked_s is not None:
                raise self._cut("it was asked and has never sent a byte", "idle_connection")
        return await self._receive(math.inf, "", "")

    async def _receive(self, deadline: float, what: str, kind: str) -> bytes | bytearray:
        with trio.move_on_at(deadline):
            data = await self._stream.receive_some(RECEIVE_BYTES)
            self.peer.bytes_in += len(data)
            return data
        raise self._cut(what, kind)

    def _how_it_ended(self, how: str) -> str:
        if not self._decoder.is_mid_frame:
            return how
        text = f"{how} inside a frame, after {self._decoder.buffered_bytes} bytes"
        self._shared.problems.of_peer(self.peer, "truncated_frame", text)
        return text

    def _cut(self, reason: str, event_kind: str) -> Cut:
        if self._session.is_admitted:
            self._shared.problems.of_peer(self.peer, event_kind, reason)
        else:
            self._shared.problems.of_stranger(self.peer.remote_address, event_kind, reason)
        return Cut(reason, event_kind)
