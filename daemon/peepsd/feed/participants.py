"""Introspection servers that we dial, taking part in snapshots like any process.

Decides when to connect again, and what counts as a node's answer: a State that came after it
was asked, or, where none comes soon, the State that it pushed last. Refuses to know how servers
differ (dialect.py), what is in a State (libp2p_graph.py) and what a snapshot is: it hands in
replies and losses.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import structlog
import trio

from peeps.wire.errors import MessageError
from peeps.wire.messages import SnapshotRequest

from ..core.happenings import Bus, ProcessConnected, ProcessDisconnected, ProcessIdentified
from ..core.registry import Peer, Registry
from ..core.reply import HelloMessage, Reply
from ..errors import PeepsError
from .client import Retry
from .connection import FeedClosed, FeedConnection, UnreadableFrame, connected
from .dialect import SILENCE_S, ClientMessage, Dialect, Refusal, generation_in
from .libp2p_graph import graph_reply
from .pb import introspection_pb2 as pb
from .websocket import parse_url, shown

REQUEST_QUEUE = 32
FALLBACK_S = 0.5
"""How long a State of now is worth waiting for while an older one is at hand."""
LATE_S = 5.0
"""How long after its deadline a snapshot's answer is still waited for, to be put on record."""

log = structlog.get_logger("peepsd.feed")


class Rounds(Protocol):
    """Where snapshots are told what became of their requests."""

    def sent(self, connection_id: int, snapshot_id: int) -> None: ...
    def failed(self, connection_id: int, snapshot_id: int, text: str) -> None: ...
    def gone(self, connection_id: int, reason: str) -> None: ...
    async def reply(
        self, peer: Peer, reply: Reply, *, arrived_s: float, reply_bytes: int
    ) -> None: ...


Decode = Callable[[bytes], Awaitable[HelloMessage | Reply]]


@dataclass(frozen=True, slots=True)
class House:
    """What every participant shares."""

    registry: Registry
    rounds: Rounds
    bus: Bus
    decode: Decode
    """A reply's payload to a Reply, wherever that is best done."""


async def run_participants(urls: tuple[str, ...], house: House) -> None:
    """Dial all of them, for ever."""
    async with trio.open_nursery() as nursery:
        for url in urls:
            nursery.start_soon(_dial_for_ever, url, house)


async def _dial_for_ever(url: str, house: House) -> None:
    retry = Retry()
    last_reason = ""
    while True:
        began_s = trio.current_time()
        try:
            async with connected(url) as connection:
                last_reason = ""
                log.info("introspection server connected", url=connection.name)
                await Participant(connection, house).run()
        except Exception as exc:  # whatever one server does, the daemon is there for the others
            is_foreseen = isinstance(exc, PeepsError)
            reason = exc.message if isinstance(exc, PeepsError) else f"{shown(url)}: {exc!r}"
            retry.lasted(trio.current_time() - began_s)
            wait_s = retry.next_s()
            if reason != last_reason:  # once, not every few seconds for weeks
                log.warning(
                    "introspection server away",
                    reason=reason,
                    again_in_s=wait_s,
                    exc_info=not is_foreseen,
                )
            last_reason = reason
            await trio.sleep(wait_s)


class Participant:
    """One connection to an introspection server, as a peer of the registry."""

    def __init__(self, connection: FeedConnection, house: House) -> None:
        self._connection = connection
        self._house = house
        self._dialect = Dialect(generation_in(connection.url))
        self._runtime = pb.Runtime()
        self._state: pb.State | None = None
        self._state_at_s = float("-inf")
        self._arrived = trio.Event()
        self._to_answer, self._requests = trio.open_memory_channel[SnapshotRequest](REQUEST_QUEUE)
        self._unanswered: set[int] = set()
        parts = parse_url(connection.url)
        self.peer = house.registry.new_peer(
            local_address=connection.local_address,
            remote_address=parts.netloc.rpartition("@")[2],
            now_ns=time.time_ns(),
            ask=self._ask,
            initiated_by_us=True,
        )

    async def run(self) -> None:
        """Take part until the server is lost. Raises FeedClosed, UnreadableFrame."""
        house, peer = self._house, self.peer
        reason = "peepsd is stopping"
        house.registry.admit(peer)
        house.bus.publish(ProcessConnected(time.time_ns(), peer.connection_id, peer.remote_address))
        try:
            async with trio.open_nursery(strict_exception_groups=True) as nursery:
                nursery.start_soon(self._answer_requests)
                nursery.start_soon(self._speak_if_silent)
                await self._listen()
        except* (FeedClosed, UnreadableFrame) as group:
            error = _first(group)
            reason = str(error)
            if isinstance(error, UnreadableFrame):
                self._fail_all(reason)
            raise error from None
        finally:
            house.registry.disconnect(peer.connection_id)
            house.rounds.gone(peer.connection_id, reason)
            house.bus.publish(
                ProcessDisconnected(time.time_ns(), peer.connection_id, peer.proc_key, reason)
            )

    def _ask(self, request: SnapshotRequest) -> bool:
        try:
            self._to_answer.send_nowait(request)
        except (trio.WouldBlock, trio.BrokenResourceError):
            return False
        self._unanswered.add(request.snapshot_id)
        return True

    # listening

    async def _listen(self) -> None:
        await self._send(self._dialect.opened())
        while True:
            _, message = await self._connection.receive()
            self._count()
            to_send, refusal = self._dialect.received(message)
            await self._send(to_send)
            if refusal is not None:
                self._refused(refusal)
            if message.HasField("runtime"):
                self._identify(message.runtime)
            elif message.HasField("state"):
                self._state, self._state_at_s = message.state, trio.current_time()
                self._arrived.set()
                self._arrived = trio.Event()

    async def _speak_if_silent(self) -> None:
        await trio.sleep(SILENCE_S)
        await self._send(self._dialect.silent())

    async def _send(self, messages: list[ClientMessage]) -> None:
        for message in messages:
            await self._connection.send(message)
        self._count()

    def _identify(self, runtime: pb.Runtime) -> None:
        self._runtime = runtime
        name = "-".join(part for part in (runtime.implementation, runtime.peer_id[:16]) if part)
        self.peer.agent = f"{runtime.implementation}/{runtime.version}"[:128]
        if self._house.registry.identify(self.peer, name, 0):
            peer = self.peer
            self._house.bus.publish(
                ProcessIdentified(
                    time.time_ns(), peer.connection_id, peer.proc_key, peer.process, peer.pid
                )
            )

    def _count(self) -> None:
        connection, peer = self._connection, self.peer
        peer.bytes_in, peer.frames_in = connection.bytes_in, connection.frames_in
        peer.bytes_out, peer.frames_out = connection.bytes_out, connection.frames_out

    def _refused(self, refusal: Refusal) -> None:
        log.warning("introspection server refused", url=self._connection.name, error=refusal.text)
        self._fail_all(f"it refused: {refusal.text}")

    def _fail_all(self, text: str) -> None:
        for snapshot_id in self._unanswered:
            self._house.rounds.failed(self.peer.connection_id, snapshot_id, text)
        self._unanswered.clear()

    # answering

    async def _answer_requests(self) -> None:
        async with trio.open_nursery() as nursery:
            async for request in self._requests:
                nursery.start_soon(self._answer, request)

    async def _answer(self, request: SnapshotRequest) -> None:
        snapshot_id = request.snapshot_id
        with trio.move_on_after(request.timeout_ms / 1000 + LATE_S):
            asked_s = trio.current_time()
            await self._send(self._dialect.request_state())
            self._house.rounds.sent(self.peer.connection_id, snapshot_id)
            state = await self._state_since(asked_s, min(FALLBACK_S, request.timeout_ms / 4000))
            if snapshot_id in self._unanswered:  # else it was refused meanwhile
                await self._reply(state, snapshot_id, asked_s)
        self._unanswered.discard(snapshot_id)

    async def _reply(self, state: pb.State, snapshot_id: int, asked_s: float) -> None:
        peer, rounds = self.peer, self._house.rounds
        arrived_s = max(self._state_at_s, asked_s)
        # In a thread: a node of 1000 connections takes some 80 ms, which nobody else shall wait.
        payload, problems = await trio.to_thread.run_sync(
            graph_reply,
            state,
            self._runtime,
            self._connection.name,
            snapshot_id,
            peer.process,
            max(round((asked_s - self._state_at_s) * 1000), 0),
        )
        try:
            reply = await self._house.decode(payload)
        except MessageError as exc:
            rounds.failed(peer.connection_id, snapshot_id, str(exc))
            return
        assert isinstance(reply, Reply)
        reply.problems = [*reply.problems, *problems]
        size = state.ByteSize()
        await rounds.reply(peer, reply, arrived_s=arrived_s, reply_bytes=size)

    async def _state_since(self, asked_s: float, fallback_s: float) -> pb.State:
        """A State that arrived after `asked_s`; after `fallback_s` the last one will do."""
        with trio.move_on_at(asked_s + fallback_s):
            while self._state_at_s < asked_s:
                await self._arrived.wait()
        while self._state is None:
            await self._arrived.wait()
        return self._state


def _first(group: BaseExceptionGroup[FeedClosed | UnreadableFrame]) -> FeedClosed | UnreadableFrame:
    """One of them; what cannot be read says more than what ended after it."""
    leaves: list[FeedClosed | UnreadableFrame] = []
    pending: list[object] = [group]
    while pending:
        found = pending.pop()
        if isinstance(found, BaseExceptionGroup):
            pending.extend(found.exceptions)
        elif isinstance(found, FeedClosed | UnreadableFrame):
            leaves.append(found)
    return min(leaves, key=lambda error: not isinstance(error, UnreadableFrame))
