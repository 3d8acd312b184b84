"""What can happen in the daemon, as data, and how those who care are told.

Decides the vocabulary. Refuses to know who listens and what they do with it. Times are Unix
nanoseconds; durations say their unit.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ProcessConnected:
    """A connection was accepted (or, for an introspection server, made)."""

    at_ns: int
    connection_id: int
    address: str


@dataclass(frozen=True, slots=True)
class ProcessIdentified:
    """A connection told who it is: by hello, or by its first reply."""

    at_ns: int
    connection_id: int
    proc_key: str
    process: str
    pid: int | None


@dataclass(frozen=True, slots=True)
class ProcessDisconnected:
    """A connection ended; `reason` says by whom and why."""

    at_ns: int
    connection_id: int
    proc_key: str
    reason: str


@dataclass(frozen=True, slots=True)
class SnapshotRequested:
    """Everybody connected was asked."""

    at_ns: int
    snapshot_id: int
    requested: int
    timeout_ms: int


@dataclass(frozen=True, slots=True)
class ProcessReplied:
    """One process's graph arrived in time and could be read."""

    at_ns: int
    snapshot_id: int
    proc_key: str
    connection_id: int
    nodes: int
    edges: int
    reply_bytes: int
    latency_ms: float


@dataclass(frozen=True, slots=True)
class ProcessTimedOut:
    """One process did not answer before the snapshot was over."""

    at_ns: int
    snapshot_id: int
    proc_key: str
    connection_id: int


@dataclass(frozen=True, slots=True)
class Span:
    """One process's part in one snapshot, stage by stage; None: it did not get there."""

    proc_key: str
    connection_id: int
    status: str
    queued_at_ns: int
    sent_at_ns: int | None = None
    received_at_ns: int | None = None
    decoded_at_ns: int | None = None
    stored_at_ns: int | None = None
    reply_bytes: int = 0


@dataclass(frozen=True, slots=True)
class SnapshotCompleted:
    """A snapshot is stored whole and can be queried."""

    at_ns: int
    snapshot_id: int
    elapsed_ms: float
    responded: int
    timed_out: int
    disconnected: int
    errors: int
    spans: tuple[Span, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class IngestProblem:
    """Something received could not be used; it becomes a row of ingest_events."""

    at_ns: int
    event_kind: str
    detail: str
    snapshot_id: int | None = None
    process: str | None = None
    pid: int | None = None
    proc_key: str | None = None
    stranger: str | None = None
    """host:port of a connection that was not admitted; the detail has it as well."""


@dataclass(frozen=True, slots=True)
class ConfigChanged:
    """A setting of the running daemon was changed by an observer."""

    at_ns: int
    settings: Mapping[str, int]


Happening = (
    ProcessConnected
    | ProcessIdentified
    | ProcessDisconnected
    | SnapshotRequested
    | ProcessReplied
    | ProcessTimedOut
    | SnapshotCompleted
    | IngestProblem
    | ConfigChanged
)

Subscriber = Callable[[Happening], None]


class Bus:
    """Tells every subscriber of every happening, at once and in order."""

    def __init__(self) -> None:
        self._subscribers: list[Subscriber] = []

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call `subscriber` for each happening from now on; returns what ends that.

        A subscriber must neither block nor raise.
        """
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    def publish(self, happening: Happening) -> None:
        """Tell everybody."""
        for subscriber in tuple(self._subscribers):
            subscriber(happening)
