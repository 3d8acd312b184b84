"""Who is connected, and what each has shown of itself.

Decides identities (frozen per snapshot) and who is a chronic non-responder. Refuses to know
streams, rows and clocks: callers pass the time in. Keyed by connection, never by name: a peer
that has not spoken is as good as any other.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from peeps.wire.messages import SnapshotRequest

from . import identity
from .gather import Verdict

CHRONIC_MISSES = 3
"""After so many missed snapshots in a row a peer holds nobody up (see gather.py)."""

REMEMBERED_REQUESTS = 256
"""Requests a peer is remembered to have been sent, to tell late replies from wrong ones."""

Ask = Callable[[SnapshotRequest], bool]
"""Hand a request to a peer's writer without waiting; False: its queue is full."""

Cut = Callable[[str], None]
"""End a peer's connection at once; the text says why."""


def _stay(reason: str) -> None:
    """Of a peer that is not ours to cut."""


@dataclass(slots=True)
class Peer:
    """One connection and all that is known of the process behind it."""

    connection_id: int
    local_address: str
    remote_address: str
    connected_at_ns: int
    ask: Ask = field(repr=False)
    initiated_by_us: bool = False
    cut: Cut = field(default=_stay, repr=False)
    process: str = identity.UNKNOWN_PROCESS
    pid: int | None = None
    host: str | None = None
    agent: str | None = None
    proc_key: str = ""
    said_hello: bool = False
    misses: int = 0
    """Snapshots missed in a row."""
    bytes_in: int = 0
    bytes_out: int = 0
    frames_in: int = 0
    frames_out: int = 0
    last_latency_ns: int | None = None
    in_flight: dict[int, int] = field(default_factory=dict)
    """snapshot_id to when it was asked (Unix ns)."""
    first_asked_s: float | None = None
    """When it was asked for the first time, by the clock of whoever asked."""
    _answered: dict[int, bool] = field(default_factory=dict)

    @property
    def is_chronic(self) -> bool:
        """Whether it missed its last snapshots, so that nobody waits for it in full."""
        return self.misses >= CHRONIC_MISSES

    def note_asked(self, snapshot_id: int, now_ns: int) -> None:
        """It was sent a request."""
        self.in_flight[snapshot_id] = now_ns
        self._answered[snapshot_id] = False
        while len(self._answered) > REMEMBERED_REQUESTS:
            del self._answered[next(iter(self._answered))]

    def note_answered(self, snapshot_id: int) -> None:
        """Its reply was accepted."""
        self._answered[snapshot_id] = True

    def note_over(self, snapshot_id: int) -> None:
        """That snapshot waits for it no more."""
        self.in_flight.pop(snapshot_id, None)

    def what_is_reply(self, snapshot_id: int) -> Verdict:
        """What a reply to a snapshot that is over is: late, a duplicate, or to nothing it was
        asked."""
        answered = self._answered.get(snapshot_id)
        if answered is None:
            return Verdict.STRANGER
        return Verdict.DUPLICATE if answered else Verdict.LATE

    def is_the_same(self, process: str, pid: int) -> bool:
        """Whether that is who it said it is."""
        return (identity.safe_name(process), pid) == (self.process, self.pid)

    @property
    def is_identified(self) -> bool:
        """Whether it has said who it is."""
        return self.pid is not None


class Registry:
    """The peers connected now, by connection id."""

    def __init__(self) -> None:
        self._peers: dict[int, Peer] = {}
        self._keys: dict[str, int] = {}  # live proc_key -> connection id
        self._last_id = 0

    def __len__(self) -> int:
        return len(self._peers)

    def new_peer(
        self,
        *,
        local_address: str,
        remote_address: str,
        now_ns: int,
        ask: Ask,
        initiated_by_us: bool = False,
        cut: Cut = _stay,
    ) -> Peer:
        """A connection under a fresh id; it takes part in nothing until it is admitted."""
        self._last_id += 1
        return Peer(self._last_id, local_address, remote_address, now_ns, ask, initiated_by_us, cut)

    def admit(self, peer: Peer) -> None:
        """Let a peer take part in snapshots, under its key or a placeholder."""
        self._peers[peer.connection_id] = peer
        self._assign_key(peer)

    def disconnect(self, connection_id: int) -> Peer | None:
        """Forget a connection; its key is free again. None: it was not there."""
        peer = self._peers.pop(connection_id, None)
        if peer is not None:
            self._keys.pop(peer.proc_key, None)
        return peer

    def identify(self, peer: Peer, process: str, pid: int | None) -> bool:
        """Note who a peer says it is. True if that is news (its proc_key may have changed)."""
        process = identity.safe_name(process)
        if (process, pid) == (peer.process, peer.pid):
            return False
        peer.process, peer.pid = process, pid
        if self._peers.get(peer.connection_id) is peer:
            self._assign_key(peer)
        return True

    def _assign_key(self, peer: Peer) -> None:
        if self._keys.get(peer.proc_key) == peer.connection_id:
            del self._keys[peer.proc_key]
        base = identity.base_key(peer.process, peer.pid, peer.connection_id)
        peer.proc_key = identity.unique_key(base, self._keys)
        self._keys[peer.proc_key] = peer.connection_id

    def peers(self) -> Iterable[Peer]:
        """Everybody connected now; a copy, safe to keep."""
        return tuple(self._peers.values())

    def get(self, connection_id: int) -> Peer | None:
        """The peer of that connection, if it is still there."""
        return self._peers.get(connection_id)

    def without_hello(self) -> int:
        """How many have not said who they are."""
        return sum(not p.is_identified for p in self._peers.values())
