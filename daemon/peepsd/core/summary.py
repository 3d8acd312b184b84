"""The answer to "take a snapshot": who was asked, and how each ended. Decides its shape."""

from dataclasses import dataclass
from typing import Any

from .gather import Status
from .records import ProcessRecord


@dataclass(frozen=True, slots=True)
class SnapshotSummary:
    """One completed snapshot. Times in milliseconds."""

    snapshot_id: int
    elapsed_ms: float
    skew_ms: float | None
    unresolved_edges: int
    processes: list[ProcessRecord]

    def count(self, status: Status) -> int:
        """How many ended so."""
        return sum(p.status is status for p in self.processes)

    def to_dict(self) -> dict[str, Any]:
        """The JSON object of POST /api/jump-now."""
        return {
            "snapshot_id": self.snapshot_id,
            "requested": len(self.processes),
            "responded": self.count(Status.RESPONDED),
            "timed_out": self.count(Status.TIMEOUT),
            "disconnected": self.count(Status.DISCONNECTED),
            "errors": self.count(Status.ERROR),
            "elapsed_ms": round(self.elapsed_ms, 3),
            "skew_ms": self.skew_ms,
            "unresolved_edges": self.unresolved_edges,
            "processes": [
                {
                    "proc_key": p.proc_key,
                    "process": p.process,
                    "pid": p.pid,
                    "status": p.status.value,
                    "error_text": p.error_text,
                    "nodes": p.nodes,
                    "edges": p.edges,
                }
                for p in self.processes
            ],
        }
