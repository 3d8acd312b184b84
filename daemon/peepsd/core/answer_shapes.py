"""The shapes of answers, as every front end shows them: nodes, steps, roots, deadlocks, blockers.

Decides fields only. The HTTP description is read off these classes (http/openapi_schemas.py).
"""

from dataclasses import dataclass, field
from typing import Literal

from .confidence import Confidence
from .roots import RootKind


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """What is shown of a node."""

    id: str
    kind: str
    name: str
    process: str
    proc_key: str
    state: str | None
    location: str | None
    function: str | None
    missing: str | None = None
    """Why no reply contained it; None: one did."""


@dataclass(frozen=True, slots=True)
class Step:
    """One link of a chain; `relation` says how it follows upon the one before."""

    node: NodeInfo
    relation: str
    inferred: str | None = None


@dataclass(frozen=True, slots=True)
class RootInfo:
    """Where a chain ends."""

    kind: RootKind
    node: NodeInfo
    reason: str
    is_idle: bool = False
    """It waits for work: nothing is wrong with that."""


@dataclass(frozen=True, slots=True)
class DeadlockInfo:
    """One deadlock, or a candidate that no second snapshot has confirmed yet."""

    id: str
    """The same in two snapshots for the same knot."""
    status: Literal["candidate", "confirmed"]
    sentence: str
    cycle: list[Step]
    members: list[NodeInfo]
    members_count: int
    waiting: list[NodeInfo]
    """The innocent who wait behind it: tasks and threads."""
    waiting_count: int
    processes: list[str]
    confidence: Confidence


@dataclass(frozen=True, slots=True)
class Deadlocks:
    """All deadlocks of a snapshot."""

    snapshot_id: int
    confirmed_by: int | None
    deadlocks: list[DeadlockInfo]
    unanswered: list[str]
    """proc_keys of processes that could hide one."""


@dataclass(frozen=True, slots=True)
class BlockerInfo:
    """What others wait for."""

    node: NodeInfo
    direct: int
    total: int
    is_root: bool
    root: RootInfo | None
    """What it waits for in the end, if it waits itself."""


@dataclass(frozen=True, slots=True)
class Blockers:
    """The most waited-for, most first."""

    snapshot_id: int
    blockers: list[BlockerInfo]


@dataclass(frozen=True, slots=True)
class Why:
    """Why something does not go on."""

    snapshot_id: int
    subject: NodeInfo | None
    sentence: str
    steps: list[Step] = field(default_factory=list)
    root: RootInfo | None = None
    deadlock: DeadlockInfo | None = None
    waiting_count: int = 0
    """How many tasks and threads wait for the root, all told."""
    confidence: Confidence | None = None
    caveats: list[str] = field(default_factory=list)
