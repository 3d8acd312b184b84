"""What changed between two snapshots, and what did not although it waits.

Decides what counts as a change and what as stuck. Refuses to know SQL: nodes and edges come in as
mappings from key to a fingerprint of their attributes.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from .answer_shapes import NodeInfo

EdgeKey = tuple[str, str, str]
"""src, dst, kind."""

LISTED = 200


@dataclass(frozen=True, slots=True)
class Change:
    """A node that is in both snapshots and differs."""

    node: NodeInfo
    before: dict[str, str | None]
    after: dict[str, str | None]
    """state, location and what it waits for, where they differ."""


@dataclass(frozen=True, slots=True)
class EdgeInfo:
    """One edge, with names for people."""

    src: str
    dst: str
    kind: str
    src_name: str
    dst_name: str
    src_process: str
    dst_process: str


@dataclass(frozen=True, slots=True)
class Persisting:
    """A wait that is in both snapshots."""

    waiter: NodeInfo
    needs: NodeInfo
    since_snapshot: int
    """The earliest snapshot, without a gap, in which it is."""
    since_ns: int
    """When that was asked for (Unix ns)."""
    seconds: float
    """From then to the later snapshot: it has waited at least so long."""


@dataclass(frozen=True, slots=True)
class Diff:
    """From `before` to `after`. Lists are cut at 200 entries; counts are not."""

    before: int
    after: int
    seconds: float
    nodes_appeared: list[NodeInfo]
    nodes_gone: list[NodeInfo]
    nodes_changed: list[Change]
    edges_appeared: list[EdgeInfo]
    edges_gone: list[EdgeInfo]
    persisting: list[Persisting]
    counts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stuck:
    """What waits on the same thing in each of several snapshots."""

    snapshots: list[int]
    """Newest first."""
    waits: list[Persisting]
    count: int


def unbroken(
    waits: Collection[EdgeKey],
    earlier: Sequence[int],
    has: Callable[[int, EdgeKey], bool],
    newest: int,
) -> Mapping[EdgeKey, int]:
    """For each wait the earliest snapshot back to which it was always there.

    `earlier` are the snapshots before `newest`, latest first; `has` tells whether one has a wait.
    """
    since = dict.fromkeys(waits, newest)
    going = list(waits)
    for snapshot_id in earlier:
        going = [wait for wait in going if has(snapshot_id, wait)]
        for wait in going:
            since[wait] = snapshot_id
        if not going:
            break
    return since
