"""The small messages of the snapshot protocol: request and hello. Standard library only.

Decides what a well-formed request or hello is. Graph replies are not here: the agent writes
them in chunks (peeps.serialise) and the daemon reads them typed (peepsd.core.reply), because
both must stay cheap for a hundred megabytes. Unknown fields are ignored, so that either end
may be newer than the other (docs/protocol.md).
"""

import json
from dataclasses import dataclass
from typing import Any

from .errors import MessageError

SNAPSHOT_REQUEST = "snapshot_request"
GRAPH_REPLY = "graph_reply"
HELLO = "hello"


@dataclass(frozen=True, slots=True)
class SnapshotRequest:
    """The daemon asks: what are you doing, and what are you waiting for?"""

    snapshot_id: int
    timeout_ms: int
    capture_at_ns: int | None = None
    """Unix time at which to take the cut, so that all processes cut together; None: at once."""

    def to_json(self) -> bytes:
        """The message's payload (one frame)."""
        message: dict[str, Any] = {
            "type": SNAPSHOT_REQUEST,
            "snapshot_id": self.snapshot_id,
            "timeout_ms": self.timeout_ms,
        }
        if self.capture_at_ns is not None:
            message["capture_at_ns"] = self.capture_at_ns
        return _dump(message)


@dataclass(frozen=True, slots=True)
class Hello:
    """An agent introduces itself, once, right after connecting. Optional."""

    process: str
    pid: int
    host: str | None = None
    agent: str | None = None
    token: str | None = None

    def to_json(self) -> bytes:
        """The message's payload (one frame)."""
        message = {
            "type": HELLO,
            "process": self.process,
            "pid": self.pid,
            "host": self.host,
            "agent": self.agent,
            "token": self.token,
        }
        return _dump({k: v for k, v in message.items() if v is not None})


def parse_daemon_message(payload: bytes) -> SnapshotRequest | None:
    """What the daemon sent; None for a message type this agent does not know (a newer daemon).

    Raises MessageError for anything that is not a JSON object with the fields of its type.
    """
    try:
        message = json.loads(payload)
    except (ValueError, RecursionError) as exc:
        raise MessageError(f"not JSON: {type(exc).__name__}") from None
    if not isinstance(message, dict):
        raise MessageError("not a JSON object")
    if message.get("type") != SNAPSHOT_REQUEST:
        return None
    capture_at_ns = message.get("capture_at_ns")
    return SnapshotRequest(
        snapshot_id=_integer(message, "snapshot_id"),
        timeout_ms=_integer(message, "timeout_ms"),
        capture_at_ns=capture_at_ns if type(capture_at_ns) is int else None,
    )


def _integer(message: dict[str, Any], name: str) -> int:
    value = message.get(name)
    if type(value) is not int:
        raise MessageError(f"{name} is not an integer")
    return value


def _dump(message: dict[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()
