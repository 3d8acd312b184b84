"""The daemon's view of itself: counts of what happened, and its log.

Decides what is counted and what is worth a line. A subscriber of the bus like any other;
refuses to know where happenings come from.
"""

from dataclasses import dataclass, field

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
from .core.ration import Ration

_MESSAGE = "passed over a message that could not be understood"
_CONNECTION = "cut a connection"

COSTLY = {
    "unauthorised": "refused a process",
    "decode_error": _MESSAGE,
    "unexpected_message": _MESSAGE,
    "frame_too_large": _CONNECTION,
    "slow_frame": _CONNECTION,
    "idle_connection": _CONNECTION,
}
"""Kinds of problems that whoever runs the daemon should hear of, and what is said."""

TOKEN_HINT = "PEEPS_TOKEN has to be the same for it as for peepsd"

log = structlog.get_logger("peepsd")


@dataclass(slots=True)
class Telemetry:
    """Counters since the start."""

    snapshots: int = 0
    last_snapshot_id: int = 0
    last_snapshot_ms: float = 0
    replies: int = 0
    timeouts: int = 0
    _ration: Ration = field(default_factory=Ration)

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
                self._problem(happening)
            case SnapshotCompleted():
                self._completed(happening)

    def _problem(self, problem: IngestProblem) -> None:
        """A line for what costs a message or a connection, but not one for each of a flood."""
        who = problem.proc_key or (problem.stranger or "").rpartition(":")[0]
        times = 0
        if problem.event_kind in COSTLY:
            times = self._ration.times(problem.event_kind, who, problem.at_ns)
        if not times:
            log.debug(
                "could not use what was received",
                event_kind=problem.event_kind,
                proc_key=problem.proc_key,
                detail=problem.detail,
            )
            return
        more = {"todo": TOKEN_HINT} if problem.event_kind == "unauthorised" else {}
        log.warning(
            COSTLY[problem.event_kind],
            event_kind=problem.event_kind,
            proc_key=problem.proc_key,
            detail=problem.detail,
            times=times,
            **more,
        )

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
