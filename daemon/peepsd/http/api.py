"""The daemon's own HTTP API: requests to calls, results to JSON.

Decides what a well-formed request is. Refuses to know how a snapshot is taken, what SQL means
and who may ask (http.guard).
"""

import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import trio
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from peeps.wire.limits import MAX_TIMEOUT_MS

from ..core.registry import Peer
from ..core.summary import SnapshotSummary
from ..errors import BadRequest, NotFound, TooManyRequests
from . import metrics
from .numbers import MAX_ID, digits, snapshot_number
from .responses import JsonResponse, json_object, reject_unknown

MAX_SNAPSHOTS_AT_ONCE = 16
DEFAULT_PAGE, MAX_PAGE = 50, 1000


class SnapshotReads(Protocol):
    """What the API needs of the store."""

    async def snapshots(self, limit: int, before: int | None = None) -> list[dict[str, Any]]: ...
    async def snapshot(self, snapshot_id: int) -> dict[str, Any] | None: ...


class Sql(Protocol):
    """What the API needs of the sandbox."""

    async def query(self, sql: Any, params: Any, snapshot_id: Any) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Api:
    """What the handlers call. `take` takes a snapshot within timeout_ms."""

    take: Callable[[int], Awaitable[SnapshotSummary]]
    peers: Callable[[], Iterable[Peer]]
    reads: SnapshotReads
    sql: Sql
    statistics: Callable[[], dict[str, float]]
    """Numbers of the daemon by metric name, for /health and /metrics."""
    default_timeout_ms: int
    version: str
    limiter: trio.CapacityLimiter

    def routes(self) -> list[Route]:
        """The table of the API."""
        return [
            Route("/api/jump-now", self.jump_now, methods=["POST"]),
            Route("/api/sql", self.run_sql, methods=["POST"]),
            Route("/api/connections", self.connections, methods=["GET"]),
            Route("/api/snapshots", self.snapshots, methods=["GET"]),
            Route("/api/snapshots/{snapshot_id}", self.snapshot, methods=["GET"]),
            Route("/health", self.health, methods=["GET"]),
            Route("/metrics", self.metrics, methods=["GET"]),
        ]

    async def jump_now(self, request: Request) -> Response:
        """Take a snapshot of everybody connected."""
        body = await json_object(request)
        reject_unknown(body, "timeout_ms")
        timeout_ms = body.get("timeout_ms", self.default_timeout_ms)
        if type(timeout_ms) is not int or not 1 <= timeout_ms <= MAX_TIMEOUT_MS:
            raise BadRequest(f"timeout_ms must be a whole number from 1 to {MAX_TIMEOUT_MS}")
        try:
            self.limiter.acquire_nowait()
        except trio.WouldBlock:
            raise TooManyRequests(
                f"{MAX_SNAPSHOTS_AT_ONCE} snapshots are being taken; wait for one to end"
            ) from None
        try:
            summary = await self.take(timeout_ms)
        finally:
            self.limiter.release()
        return JsonResponse(summary.to_dict())

    async def run_sql(self, request: Request) -> Response:
        """One read-only statement over one snapshot."""
        body = await json_object(request)
        reject_unknown(body, "snapshot_id", "sql", "params")
        if not isinstance(body.get("sql"), str):
            raise BadRequest('"sql" is missing: one SELECT as a string')
        params = body.get("params")
        answer = await self.sql.query(
            body["sql"], [] if params is None else params, body.get("snapshot_id")
        )
        return JsonResponse(answer + b"\n")

    async def connections(self, request: Request) -> Response:
        """Who is connected now."""
        now_ns = time.time_ns()
        peers = [_describe(peer, now_ns) for peer in self.peers()]
        return JsonResponse({"count": len(peers), "connections": peers})

    async def snapshots(self, request: Request) -> Response:
        """The newest snapshots."""
        limit = _query_int(request, "limit", DEFAULT_PAGE, 1, MAX_PAGE)
        before = _query_int(request, "before", None, 1, MAX_ID)
        assert limit is not None
        return JsonResponse({"snapshots": await self.reads.snapshots(limit, before)})

    async def snapshot(self, request: Request) -> Response:
        """One snapshot and how each process ended in it."""
        snapshot_id = snapshot_number(request.path_params["snapshot_id"])
        found = await self.reads.snapshot(snapshot_id)
        if found is None:
            raise NotFound(f"there is no snapshot {snapshot_id}", hint="GET /api/snapshots")
        return JsonResponse(found)

    async def health(self, request: Request) -> Response:
        """Whether the daemon lives, and how much it has to do."""
        numbers = self.statistics()
        return JsonResponse(
            {
                "status": "ok",
                "version": self.version,
                "connections": int(numbers["connections"]),
                "last_snapshot_id": int(numbers["last_snapshot_id"]) or None,
                "uptime_s": round(numbers["uptime_seconds"], 3),
            }
        )

    async def metrics(self, request: Request) -> Response:
        """The daemon's numbers in Prometheus text format."""
        return PlainTextResponse(metrics.render(self.statistics()), media_type=metrics.CONTENT_TYPE)


def _describe(peer: Peer, now_ns: int) -> dict[str, Any]:
    return {
        "connection_id": peer.connection_id,
        "proc_key": peer.proc_key,
        "process": peer.process,
        "pid": peer.pid,
        "host": peer.host,
        "agent": peer.agent,
        "address": peer.remote_address,
        "connected_at_ns": peer.connected_at_ns,
        "connected_s": round((now_ns - peer.connected_at_ns) / 1e9, 3),
        "identified": peer.is_identified,
        "missed_in_a_row": peer.misses,
        "last_latency_ms": None if peer.last_latency_ns is None else peer.last_latency_ns / 1e6,
        "in_flight": sorted(peer.in_flight),
        "bytes_in": peer.bytes_in,
        "bytes_out": peer.bytes_out,
    }


def _query_int(request: Request, name: str, default: int | None, low: int, high: int) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return default
    value = digits(text)
    if value is None or not low <= value <= high:
        raise BadRequest(f"?{name}= must be a whole number from {low} to {high}")
    return value
