"""A graph to the bytes of a graph_reply, without holding the interpreter lock for long.

Both json and orjson keep the lock for a whole call, so rows are written in batches that take
about a millisecond, and other threads get their turn in between. Decides what is left out when
the frame would grow over its limit: the reply says so, the process never falls silent.
"""

import json
import sys
from collections.abc import Callable, Iterable
from typing import Any

from . import unpatched
from .graph import Graph
from .identity import Identity

Dump = Callable[[Any], bytes]

_TARGET_S = 0.001
_TAIL_BYTES = 4096
"""Room kept for what closes the message."""
_NODES_SHARE = 0.8


def reply_chunks(
    graph: Graph,
    identity: Identity,
    snapshot_id: int,
    *,
    max_bytes: int,
    captured_at_ns: int | None = None,
    capture_ns: int | None = None,
    error: str | None = None,
) -> list[bytes]:
    """The payload of one graph_reply frame, in pieces; together at most `max_bytes`."""
    dump = _dumper()
    head = dump(_envelope(identity, snapshot_id, captured_at_ns, capture_ns))[:-1]
    head += b',"graph":' + dump({"process_name": identity.name, "proc_key": identity.proc_key})[:-1]
    budget = max_bytes - len(head) - _TAIL_BYTES
    chunks = [head, b',"nodes":[']
    used, nodes_left = _rows(graph.rows(), dump, int(budget * _NODES_SHARE), chunks)
    chunks.append(b'],"edges":[')
    _, edges_left = _rows(graph.edge_rows(), dump, budget - used, chunks)
    truncated = dict(graph.truncated)
    for what, count in (("nodes", nodes_left), ("edges", edges_left)):
        if count:
            truncated[what] = truncated.get(what, 0) + count
    tail = b"]"
    if truncated:
        tail += b',"truncated":' + dump(truncated)
    tail += b"}"
    told = _error_text(error, truncated)
    if told:
        tail += b',"error":' + dump(told[:1000])
    chunks.append(tail + b"}")
    return chunks


def null_reply(identity: Identity, snapshot_id: int, error: str) -> bytes:
    """A reply without a graph: what went wrong, as one payload."""
    message = _envelope(identity, snapshot_id, None, None)
    return _json_dump(message | {"graph": None, "error": error[:1000]})


def _envelope(
    identity: Identity, snapshot_id: int, captured_at_ns: int | None, capture_ns: int | None
) -> dict[str, Any]:
    message: dict[str, Any] = {
        "type": "graph_reply",
        "snapshot_id": snapshot_id,
        "process": identity.name,
        "pid": identity.pid,
    }
    if captured_at_ns is not None:
        message["captured_at_ns"] = captured_at_ns
    if capture_ns is not None:
        message["capture_ns"] = capture_ns
    return message


def _error_text(error: str | None, truncated: dict[str, int]) -> str | None:
    if not truncated:
        return error
    what = ", ".join(f"{count} {name}" for name, count in truncated.items())
    return f"truncated: {what} left out" + (f"; {error}" if error else "")


def _rows(
    rows: Iterable[dict[str, Any]], dump: Dump, budget: int, chunks: list[bytes]
) -> tuple[int, int]:
    """Append rows in batches until the budget is used up; returns (bytes used, rows left out)."""
    used = left = 0
    size = 16
    batch: list[dict[str, Any]] = []
    first = True

    def flush() -> int:
        nonlocal first, size
        began = unpatched.perf_counter()
        text = dump(batch)[1:-1]
        took = unpatched.perf_counter() - began
        if took > _TARGET_S:
            size = max(size // 2, 1)
        elif took < _TARGET_S / 4:
            size = min(size * 2, 4096)
        unpatched.sleep(0)
        if used + len(text) + 1 > budget:
            return -1
        chunks.append(text if first else b"," + text)
        first = False
        return len(text) + 1

    for row in rows:
        if left:
            left += 1
            continue
        batch.append(row)
        if len(batch) >= size:
            written = flush()
            if written < 0:
                left = len(batch)
            else:
                used += written
            batch.clear()
    if batch:
        written = flush()
        if written < 0:
            left += len(batch)
        else:
            used += written
    return used, left


def _dumper() -> Dump:
    """orjson if the host has it loaded (importing it here would hold the host up), else json."""
    orjson = sys.modules.get("orjson")
    if orjson is None:
        return _json_dump
    orjson_dumps = getattr(orjson, "dumps", None)

    def dump(value: Any) -> bytes:
        try:
            return bytes(orjson_dumps(value))  # type: ignore[misc]
        except Exception:  # an integer over 64 bits, a lone surrogate in a file name
            return _json_dump(value)

    return dump if orjson_dumps is not None else _json_dump


def _json_dump(value: Any) -> bytes:
    # ensure_ascii writes lone surrogates as escapes, which every reader takes.
    return json.dumps(value, separators=(",", ":")).encode()
