"""What the store is told, as plain records. Decides their shape only."""

from dataclasses import dataclass, field
from typing import Any

from .gather import Seat, Status
from .graph_rows import Problem
from .reply import Reply


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """One row of snapshot_processes. Times are Unix nanoseconds."""

    proc_key: str
    process: str
    pid: int | None
    status: Status
    connection_id: int
    recv_at_ns: int | None = None
    error_text: str | None = None
    captured_at_ns: int | None = None
    capture_ns: int | None = None
    reply_bytes: int | None = None
    nodes: int = 0
    edges: int = 0
    agent: str | None = None
    host: str | None = None

    @classmethod
    def of(cls, seat: Seat, **values: Any) -> "ProcessRecord":
        """The record of a seat that has ended."""
        assert seat.status is not None
        values.setdefault("error_text", seat.error_text)
        return cls(
            proc_key=seat.proc_key,
            process=seat.process,
            pid=seat.pid,
            status=seat.status,
            connection_id=seat.connection_id,
            agent=seat.agent,
            host=seat.host,
            **values,
        )


@dataclass(frozen=True, slots=True)
class ReplyRecord:
    """One reply to be stored whole or not at all."""

    snapshot_id: int
    process: ProcessRecord
    frozen_key: str
    """The proc_key under which the process was asked."""
    reply: Reply


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a reply in the database."""

    nodes: int
    edges: int
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Completion:
    """The end of a snapshot."""

    snapshot_id: int
    completed_at_ns: int
    skew_ms: float | None
    silent: list[tuple[str, ProcessRecord]]
    """(frozen key, record) of those who did not respond."""
    statuses: dict[str, Status]
    """Every proc_key of the snapshot."""
    interrupted: str | None = None
