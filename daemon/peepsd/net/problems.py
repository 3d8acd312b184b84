"""Where those who read bytes report what they could not use.

Decides how a problem of a peer is described. Refuses to know what becomes of it: it is
published on the bus, and the app has it written to ingest_events.
"""

import time
from collections.abc import Callable

from ..core.happenings import Bus, IngestProblem
from ..core.identity import safe_name, safe_text
from ..core.registry import Peer

MAX_DETAIL_BYTES = 1000

Record = Callable[[IngestProblem, int], None]


class Problems:
    """Publishes each problem and hands it to `record` with its count."""

    def __init__(
        self, bus: Bus, record: Record, *, wall_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._bus = bus
        self._record = record
        self._wall_ns = wall_ns

    def of_peer(
        self,
        peer: Peer,
        event_kind: str,
        detail: str,
        *,
        snapshot_id: int | None = None,
        count: int = 1,
    ) -> None:
        """`count` alike problems with what a connected peer sent."""
        self._publish(
            IngestProblem(
                self._wall_ns(),
                event_kind,
                safe_text(detail, MAX_DETAIL_BYTES),
                snapshot_id,
                peer.process,
                peer.pid,
                peer.proc_key or None,
            ),
            count,
        )

    def identity_changed(self, peer: Peer, process: str, pid: int) -> None:
        """A peer says now that it is somebody else."""
        text = f"says now that it is {safe_name(process)!r}, pid {pid}; it stays {peer.proc_key}"
        self.of_peer(peer, "identity_changed", text)

    def of_stranger(self, address: str, event_kind: str, detail: str) -> None:
        """A problem with a connection that was not admitted."""
        text = safe_text(f"{address}: {detail}", MAX_DETAIL_BYTES)
        problem = IngestProblem(self._wall_ns(), event_kind, text, stranger=address)
        self._publish(problem, 1)

    def _publish(self, problem: IngestProblem, count: int) -> None:
        self._record(problem, count)
        self._bus.publish(problem)
