"""The daemon's network half on memory streams and a virtual clock, with a writer that only
remembers. For tests of deadlines and of misbehaving peers."""

import json
import struct
from collections.abc import Sequence
from typing import Any

import trio
import trio.testing

from peepsd.core import offload
from peepsd.core.happenings import Bus, Happening, IngestProblem
from peepsd.core.limits import PeerLimits
from peepsd.core.records import Completion, ProcessRecord, ReplyRecord, Stored
from peepsd.core.registry import Registry
from peepsd.errors import StoreError
from peepsd.net.budget import ReceiveBudget
from peepsd.net.connection import Services, serve_stream
from peepsd.net.decoding import Decoder
from peepsd.net.intake import Intake
from peepsd.net.problems import Problems
from peepsd.net.rounds import SnapshotRounds

from .peers import frame


class MemoryWriter:
    """Remembers what it was told to store."""

    def __init__(self) -> None:
        self.last_id = 0
        self.frozen: list[Sequence[ProcessRecord]] = []
        self.replies: list[ReplyRecord] = []
        self.completions: list[Completion] = []
        self.interrupted: dict[int, str] = {}
        self.begin_takes_s = 0.0
        self.refuse_freezing = False
        self.refuse_replies = False
        self.hold: trio.Event | None = None
        """While set and not triggered, replies wait before they are stored."""

    async def begin(self, requested_at_ns: int, timeout_ms: int) -> int:
        await trio.sleep(self.begin_takes_s)
        self.last_id += 1
        return self.last_id

    async def freeze(
        self, snapshot_id: int, capture_at_ns: int, asked: Sequence[ProcessRecord]
    ) -> None:
        if self.refuse_freezing:
            raise StoreError("the disk is full")
        self.frozen.append(asked)

    async def interrupt(self, snapshot_id: int, completed_at_ns: int, why: str) -> None:
        self.interrupted[snapshot_id] = why

    async def store_reply(self, record: ReplyRecord) -> Stored:
        if self.hold is not None:
            await self.hold.wait()
        if self.refuse_replies:
            raise StoreError("the disk is full")
        self.replies.append(record)
        return Stored(record.reply.node_count, record.reply.edge_count, record.reply.problems)

    async def complete(self, end: Completion) -> int:
        self.completions.append(end)
        return 0


class MemoryPeer:
    """The process's end of a connection."""

    def __init__(self, stream: trio.abc.Stream, process: str, pid: int) -> None:
        self.stream, self.process, self.pid = stream, process, pid
        self._buffer = b""

    async def send(self, message: Any) -> None:
        await self.stream.send_all(frame(message))

    async def hello(self, **extra: Any) -> None:
        await self.send({"type": "hello", "process": self.process, "pid": self.pid, **extra})

    async def request(self) -> dict[str, Any]:
        """The next request of the daemon."""
        while True:
            if len(self._buffer) >= 4:
                (length,) = struct.unpack(">I", self._buffer[:4])
                if len(self._buffer) >= 4 + length:
                    body = self._buffer[4 : 4 + length]
                    self._buffer = self._buffer[4 + length :]
                    message: dict[str, Any] = json.loads(body)
                    return message
            data = await self.stream.receive_some(65536)
            assert data, "the daemon hung up"
            self._buffer += data

    async def reply(self, snapshot_id: int, graph: Any = None, **extra: Any) -> None:
        await self.send(self.reply_message(snapshot_id, graph, **extra))

    def reply_message(self, snapshot_id: int, graph: Any = None, **extra: Any) -> dict[str, Any]:
        return {
            "type": "graph_reply",
            "snapshot_id": snapshot_id,
            "process": self.process,
            "pid": self.pid,
            "graph": graph,
            **extra,
        }


class MemoryDaemon:
    """Connections and rounds without sockets, store or time."""

    def __init__(
        self,
        nursery: trio.Nursery,
        *,
        token: str | None = None,
        limits: PeerLimits | None = None,
        budget_bytes: int = 1 << 28,
        max_frame_bytes: int = 1 << 26,
        inline_bytes: int = 1 << 19,
        decode_delay_s: float = 0.0,
    ) -> None:
        self.nursery = nursery
        self.writer = MemoryWriter()
        self.registry = Registry()
        self.bus = Bus()
        self.happenings: list[Happening] = []
        self.bus.subscribe(self.happenings.append)
        self.problems: list[IngestProblem] = []
        problems = Problems(self.bus, lambda p, count: self.problems.append(p))
        self.rounds = SnapshotRounds(self.registry, self.writer, self.bus, problems, grace_ms=500)
        self.budget = ReceiveBudget(budget_bytes)
        self._decode_delay_s = decode_delay_s
        decoder = Decoder(self._decode_elsewhere, inline_bytes)
        intake = Intake(self.registry, self.rounds, decoder, self.bus, problems)
        self._shared = Services(
            self.registry,
            self.rounds,
            intake,
            self.bus,
            problems,
            self.budget,
            limits or PeerLimits(),
            max_frame_bytes,
            token,
        )

    async def _decode_elsewhere(self, payload: bytes) -> bytes:
        await trio.sleep(self._decode_delay_s)
        return offload.handle(payload)

    def connect(self, process: str = "web", pid: int = 1) -> MemoryPeer:
        """A peer whose stream is being served."""
        ours, theirs = trio.testing.memory_stream_pair()
        self.nursery.start_soon(serve_stream, ours, "here", "there", self._shared)
        return MemoryPeer(theirs, process, pid)

    def kinds(self) -> list[str]:
        """The event kinds of all problems so far."""
        return [p.event_kind for p in self.problems]
