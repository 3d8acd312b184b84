"""Snapshots in flight: broadcast, wait, store, answer.

Decides nothing about who ends how (core.gather does) nor about rows (the store does); it turns
both into awaiting. Waits are keyed by connection, so a peer that never said who it is takes
part like any other; several snapshots may be in flight, told apart by their id.

Steps: seed 002 "Server side" 1 to 6.
"""

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import structlog
import trio

from peeps.wire.messages import SnapshotRequest

from ..core import gather
from ..core.gather import Gather, Seat, Status, Verdict
from ..core.graph_rows import Problem
from ..core.happenings import (
    Bus,
    ProcessIdentified,
    ProcessReplied,
    ProcessTimedOut,
    SnapshotCompleted,
    SnapshotRequested,
)
from ..core.records import Completion, ProcessRecord, ReplyRecord, Stored
from ..core.registry import Peer, Registry
from ..core.reply import Reply
from ..core.summary import SnapshotSummary
from ..errors import NobodyConnected, PeepsError
from .problems import Problems
from .round import UNANSWERED, Round, seat_of

STOPPED = "peepsd was stopped before this snapshot was complete"
NO_GRAPH = "the process could not build its graph and did not say why"

CAPTURE_LEAD_NS = 5_000_000
CAPTURE_LEAD_PER_PEER_NS = 100_000
"""The common instant of the cut lies so far ahead that the last peer has the request by then."""


log = structlog.get_logger("peepsd.net")


class SnapshotWriter(Protocol):
    """What a round needs of the store."""

    async def begin(self, requested_at_ns: int, timeout_ms: int) -> int: ...
    async def freeze(
        self, snapshot_id: int, capture_at_ns: int, asked: Sequence[ProcessRecord]
    ) -> None: ...
    async def store_reply(self, record: ReplyRecord) -> Stored: ...
    async def complete(self, end: Completion) -> int: ...
    async def interrupt(self, snapshot_id: int, completed_at_ns: int, why: str) -> None: ...


class SnapshotRounds:
    """Takes snapshots of whoever is in the registry."""

    def __init__(
        self,
        registry: Registry,
        writer: SnapshotWriter,
        bus: Bus,
        problems: Problems,
        *,
        grace_ms: int,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._registry = registry
        self._writer = writer
        self._bus = bus
        self._problems = problems
        self._grace_ns = grace_ms * 1_000_000
        self._wall_ns = wall_ns
        self._open: dict[int, Round] = {}

    # asking

    async def take(self, timeout_ms: int) -> SnapshotSummary:
        """Ask everybody, wait, store; the stored snapshot's summary.

        Raises NobodyConnected, or StoreError if no snapshot could be begun or completed.
        """
        if not len(self._registry):
            raise NobodyConnected(
                "no process is connected",
                hint="start services with PEEPS_DASHBOARD=host:port of this daemon",
            )
        requested_at_ns, began_s = self._wall_ns(), trio.current_time()
        snapshot_id = await self._writer.begin(requested_at_ns, timeout_ms)
        lead_ns = CAPTURE_LEAD_NS + CAPTURE_LEAD_PER_PEER_NS * len(self._registry)
        capture_at_ns = self._wall_ns() + lead_ns  # begin() may have waited for its turn
        round_ = self._broadcast(SnapshotRequest(snapshot_id, timeout_ms, capture_at_ns))
        try:
            await self._writer.freeze(snapshot_id, capture_at_ns, round_.unanswered())
            await self._wait(round_)
            return await self._complete(round_, began_s)
        except (PeepsError, trio.Cancelled) as exc:
            await self._interrupt(snapshot_id, exc)
            raise
        finally:
            del self._open[snapshot_id]
            for connection_id in round_.gather.seats:
                peer = self._registry.get(connection_id)
                if peer is not None:
                    peer.note_over(snapshot_id)

    async def _interrupt(self, snapshot_id: int, exc: PeepsError | trio.Cancelled) -> None:
        """Say in the database that this snapshot will not be completed, and why."""
        why = STOPPED
        if isinstance(exc, PeepsError):
            why = f"it could not be stored: {exc.message}"
            log.error("snapshot interrupted", snapshot_id=snapshot_id, error=exc.message)
        with trio.CancelScope(shield=True), contextlib.suppress(PeepsError):
            await self._writer.interrupt(snapshot_id, self._wall_ns(), why)

    def _broadcast(self, request: SnapshotRequest) -> Round:
        """Freeze who is connected and ask them all, without a pause in between."""
        peers = tuple(self._registry.peers())
        snapshot_id, wall_ns, now_s = request.snapshot_id, self._wall_ns(), trio.current_time()
        gathering = Gather(snapshot_id, _ns(now_s), request.timeout_ms * 1_000_000, self._grace_ns)
        gathering.admit(seat_of(peer) for peer in peers)
        round_ = Round(gathering, {p.connection_id: p.proc_key for p in peers})
        self._open[snapshot_id] = round_
        self._bus.publish(SnapshotRequested(wall_ns, snapshot_id, len(peers), request.timeout_ms))
        for peer in peers:
            peer.note_asked(snapshot_id, wall_ns)
            if peer.first_asked_s is None:
                peer.first_asked_s = now_s
            round_.spans[peer.connection_id] = {"queued_at_ns": wall_ns}
            if not peer.ask(request):
                text = "its queue of requests is full: it has stopped reading"
                gathering.failed(peer.connection_id, text, _now_ns())
        return round_

    async def _wait(self, round_: Round) -> None:
        """Until every seat has ended and what was received is stored."""
        gathering = round_.gather
        while not gathering.is_over or round_.storing:
            round_.changed = trio.Event()
            for seat in gathering.expire(_now_ns()):
                self._timed_out(gathering.snapshot_id, seat)
            if gathering.is_over and not round_.storing:
                return
            is_expired = _now_ns() >= gathering.wake_at_ns()
            deadline = trio.current_time() + 1 if is_expired else gathering.wake_at_ns() / 1e9
            with trio.move_on_at(deadline):
                await round_.changed.wait()

    def _timed_out(self, snapshot_id: int, seat: Seat) -> None:
        peer = self._registry.get(seat.connection_id)
        if peer is not None:
            peer.misses += 1
        self._bus.publish(
            ProcessTimedOut(self._wall_ns(), snapshot_id, seat.proc_key, seat.connection_id)
        )

    async def _complete(self, round_: Round, began_s: float) -> SnapshotSummary:
        seats = round_.gather.seats
        silent = []
        for connection_id, seat in seats.items():
            if connection_id not in round_.records:
                record = ProcessRecord.of(seat)
                round_.records[connection_id] = record
                silent.append((round_.frozen_keys[connection_id], record))
        records = [round_.records[c] for c in seats]
        responded = [r for r in records if r.status is Status.RESPONDED]
        skew = gather.skew_ms(r.captured_at_ns for r in responded)
        snapshot_id, completed_at_ns = round_.gather.snapshot_id, self._wall_ns()
        unresolved = await self._writer.complete(
            Completion(
                snapshot_id,
                completed_at_ns,
                skew,
                silent,
                {r.proc_key: r.status for r in records},
                round_.interrupted,
            )
        )
        elapsed_ms = (trio.current_time() - began_s) * 1e3
        summary = SnapshotSummary(snapshot_id, elapsed_ms, skew, unresolved, records)
        self._bus.publish(
            SnapshotCompleted(
                self._wall_ns(),
                snapshot_id,
                elapsed_ms,
                summary.count(Status.RESPONDED),
                summary.count(Status.TIMEOUT),
                summary.count(Status.DISCONNECTED),
                summary.count(Status.ERROR),
                tuple(round_.span(r) for r in records),
            )
        )
        return summary

    # what peers do; called by whoever reads their bytes

    def sent(self, connection_id: int, snapshot_id: int) -> None:
        """A request was written to the peer's stream."""
        if (round_ := self._open.get(snapshot_id)) is not None:
            round_.spans[connection_id].setdefault("sent_at_ns", self._wall_ns())

    def arriving(self, connection_id: int, change: int) -> None:
        """A whole frame that may be a reply began (+1) or ended (-1) being decoded."""
        for round_ in self._open.values():
            round_.gather.arriving(connection_id, change)
            round_.wake()

    def garbage(self, connection_id: int, text: str) -> None:
        """The peer sent something unreadable that names no snapshot."""
        for round_ in self._open.values():
            round_.gather.sent_garbage(connection_id, text)

    def failed(self, connection_id: int, snapshot_id: int, text: str) -> None:
        """The peer's reply to that snapshot cannot be used."""
        if (round_ := self._open.get(snapshot_id)) is not None:
            round_.gather.failed(connection_id, text, _now_ns())
            round_.wake()

    def gone(self, connection_id: int, reason: str) -> None:
        """The peer is not connected any more."""
        for round_ in self._open.values():
            if round_.gather.disconnected(connection_id, reason, _now_ns()):
                round_.wake()

    def stopped(self, connection_id: int) -> None:
        """We end the connection, because we are being stopped: the peer is not to blame."""
        for round_ in self._open.values():
            if round_.gather.failed(connection_id, UNANSWERED, _now_ns()):
                round_.interrupted = STOPPED
                round_.wake()

    async def reply(self, peer: Peer, reply: Reply, *, arrived_s: float, reply_bytes: int) -> None:
        """Take one readable reply that was whole at `arrived_s` (trio's clock); returns when it
        is stored, or on record as late, duplicate or mismatched."""
        recv_at_ns = self._wall_ns()
        self._identify(peer, reply, recv_at_ns)
        round_ = self._open.get(reply.snapshot_id)
        if round_ is None:
            verdict = peer.what_is_reply(reply.snapshot_id)
        else:
            verdict = round_.gather.replied(
                peer.connection_id, reply.process, reply.pid, _now_ns(), arrived_ns=_ns(arrived_s)
            )
        if verdict is not Verdict.ACCEPTED or round_ is None:
            text = f"reply to snapshot {reply.snapshot_id}, {_WHY[verdict]}"
            self._problems.of_peer(peer, verdict.value, text, snapshot_id=reply.snapshot_id)
            return
        peer.misses = 0
        peer.last_latency_ns = _now_ns() - round_.gather.started_ns
        peer.note_answered(reply.snapshot_id)
        spans = round_.spans[peer.connection_id]
        spans["decoded_at_ns"] = recv_at_ns
        spans["received_at_ns"] = recv_at_ns - _ns(trio.current_time() - arrived_s)
        round_.storing += 1
        try:
            # The writer finishes what it was given even if this connection breaks meanwhile;
            # so the record has to know how that went.
            with trio.CancelScope(shield=True):
                await self._store(round_, peer, reply, reply_bytes)
        finally:
            round_.storing -= 1
            round_.wake()

    async def _store(self, round_: Round, peer: Peer, reply: Reply, reply_bytes: int) -> None:
        seat = round_.gather.seats[peer.connection_id]
        spans = round_.spans[peer.connection_id]
        record = ProcessRecord.of(
            seat,
            recv_at_ns=spans["received_at_ns"],
            error_text=reply.error or (None if reply.has_graph else NO_GRAPH),
            captured_at_ns=reply.captured_at_ns,
            capture_ns=reply.capture_ns,
            reply_bytes=reply_bytes,
            nodes=reply.node_count,
            edges=reply.edge_count,
        )
        frozen_key = round_.frozen_keys[peer.connection_id]
        try:
            stored = await self._writer.store_reply(
                ReplyRecord(reply.snapshot_id, record, frozen_key, reply)
            )
        except PeepsError as exc:
            round_.gather.spoil(peer.connection_id, f"its reply could not be stored: {exc}")
            self._problems.of_peer(peer, "persist_failed", str(exc), snapshot_id=reply.snapshot_id)
            return
        round_.records[peer.connection_id] = replace(record, nodes=stored.nodes, edges=stored.edges)
        spans["stored_at_ns"] = self._wall_ns()
        self._report(peer, reply.snapshot_id, stored.problems)
        self._bus.publish(
            ProcessReplied(
                self._wall_ns(),
                reply.snapshot_id,
                seat.proc_key,
                peer.connection_id,
                stored.nodes,
                stored.edges,
                reply_bytes,
                (peer.last_latency_ns or 0) / 1e6,
            )
        )

    def _identify(self, peer: Peer, reply: Reply, now_ns: int) -> None:
        if not peer.is_identified:
            self._registry.identify(peer, reply.process, reply.pid)
            self._bus.publish(
                ProcessIdentified(now_ns, peer.connection_id, peer.proc_key, peer.process, peer.pid)
            )
        elif not peer.is_the_same(reply.process, reply.pid):
            self._problems.identity_changed(peer, reply.process, reply.pid)

    def _report(self, peer: Peer, snapshot_id: int, problems: Sequence[Problem]) -> None:
        for problem in problems:
            self._problems.of_peer(
                peer,
                problem.event_kind,
                problem.detail,
                snapshot_id=snapshot_id,
                count=problem.count,
            )


_WHY = {
    Verdict.LATE: "which was over for this process",
    Verdict.DUPLICATE: "which it had answered before",
    Verdict.STRANGER: "which it was not asked for",
    Verdict.ACCEPTED: "accepted",
}


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)


def _now_ns() -> int:
    return _ns(trio.current_time())
