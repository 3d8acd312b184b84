"""One snapshot while it is being taken: its gather, what is being stored, and when what happened.

Decides the records and spans that a round leaves behind. Refuses to know how it is driven.
"""

from dataclasses import dataclass, field

import trio

from ..core.gather import Gather, Seat, Status
from ..core.happenings import Span
from ..core.records import ProcessRecord
from ..core.registry import Peer

UNANSWERED = "peepsd stopped before this process had answered"


@dataclass(slots=True)
class Round:
    """One snapshot while it is being taken."""

    gather: Gather
    frozen_keys: dict[int, str]
    changed: trio.Event = field(default_factory=trio.Event)
    storing: int = 0
    records: dict[int, ProcessRecord] = field(default_factory=dict)
    spans: dict[int, dict[str, int]] = field(default_factory=dict)
    interrupted: str | None = None
    """Why this snapshot is not whole."""

    def wake(self) -> None:
        """Something happened: whoever waits looks again, once for all that happened meanwhile."""
        self.changed.set()

    def unanswered(self) -> list[ProcessRecord]:
        """What everybody who was asked is on record as until they end."""
        return [
            ProcessRecord(
                self.frozen_keys[seat.connection_id],
                seat.process,
                seat.pid,
                Status.ERROR,
                seat.connection_id,
                error_text=UNANSWERED,
                agent=seat.agent,
                host=seat.host,
            )
            for seat in self.gather.seats.values()
        ]

    def span(self, record: ProcessRecord) -> Span:
        """How one process's part went, stage by stage."""
        return Span(
            record.proc_key,
            record.connection_id,
            record.status.value,
            reply_bytes=record.reply_bytes or 0,
            **self.spans[record.connection_id],
        )


def seat_of(peer: Peer) -> Seat:
    """The peer's identity, frozen."""
    return Seat(
        peer.connection_id,
        peer.proc_key,
        peer.process,
        peer.pid,
        peer.host,
        peer.agent,
        peer.is_identified,
        peer.is_chronic,
    )
