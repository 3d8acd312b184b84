"""The daemon's view of itself: counts of what happened, and its log.

Decides what is counted and what is worth a line. A subscriber of the bus like any other;
refuses to know where happenings come from.
"""

from dataclasses import dataclass

import structlog

from .core.happenings import (
    Happening,
    IngestProblem,
    ProcessDisconnected,
    ProcessIdentified,
    ProcessReplied,
    ProcessTimedOut,
    SnapshotCompleted,
)

log = structlog.get_logger("peepsd")


@dataclass(slots=True)
class Telemetry:
    """Counters since the start."""

    snapshots: int = 0
    last_snapshot_id: int = 0
    last_snapshot_ms: float = 0
    replies: int = 0
    timeouts: int = 0

    def __call__(self, happening: Happening) -> None:
        """Count it; log it if somebody would miss it."""
        match happening:
            case ProcessIdentified():
                log.info("process connected", proc_key=happening.proc_key)
            case ProcessDisconnected():
                log.info(
                    "process disconnected", proc_key=happening.proc_key, reason=happening.reason
                )
            case ProcessReplied():
                self.replies += 1
            case ProcessTimedOut():
                self.timeouts += 1
                log.warning(
                    "process did not answer in time",
                    proc_key=happening.proc_key,
                    snapshot_id=happening.snapshot_id,
                )
            case IngestProblem(event_kind="persist_failed"):
                log.error(
                    "a reply could not be stored",
                    proc_key=happening.proc_key,
                    snapshot_id=happening.snapshot_id,
                    error=happening.detail,
                )
            case IngestProblem():
                log.debug(
                    "could not use what was received",
                    event_kind=happening.event_kind,
                    proc_key=happening.proc_key,
                    detail=happening.detail,
                )
            case SnapshotCompleted():
                self._completed(happening)

    def _completed(self, done: SnapshotCompleted) -> None:
        self.snapshots += 1
        self.last_snapshot_id = done.snapshot_id
        self.last_snapshot_ms = done.elapsed_ms
        log.info(
            "snapshot",
            snapshot_id=done.snapshot_id,
            responded=done.responded,
            timed_out=done.timed_out,
            disconnected=done.disconnected,
            errors=done.errors,
            elapsed_ms=round(done.elapsed_ms, 1),
        )
