"""The daemon's HTTP API without sockets: requests in, JSON out, one shape of error."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest
import trio

from peepsd.core.gather import Status
from peepsd.core.records import ProcessRecord
from peepsd.core.registry import Registry
from peepsd.core.summary import SnapshotSummary
from peepsd.errors import BadRequest, NobodyConnected, StoreError, TooManyRequests
from peepsd.http.answers_api import AnswersApi
from peepsd.http.api import Api
from peepsd.http.app import build_app

SUMMARY = SnapshotSummary(
    7, 12.3456, None, 0, [ProcessRecord("web-1", "web", 1, Status.TIMEOUT, 1)]
)


class Fakes:
    """What the API calls, to order."""

    def __init__(self) -> None:
        self.taken: list[int] = []
        self.asked: list[tuple[Any, ...]] = []
        self.fail: Exception | None = None
        self.registry = Registry()

    async def take(self, timeout_ms: int) -> SnapshotSummary:
        self.taken.append(timeout_ms)
        if self.fail:
            raise self.fail
        return SUMMARY

    async def snapshots(self, limit: int, before: int | None = None) -> list[dict[str, Any]]:
        self.asked.append((limit, before))
        return [{"snapshot_id": 7}]

    async def snapshot(self, snapshot_id: int) -> dict[str, Any] | None:
        return {"snapshot_id": 7} if snapshot_id == 7 else None

    async def query(self, sql: str, params: Any, snapshot_id: Any) -> bytes:
        self.asked.append((sql, params, snapshot_id))
        if self.fail:
            raise self.fail
        return b'{"rows": []}'


@pytest.fixture
def fakes() -> Fakes:
    return Fakes()


@pytest.fixture
async def client(fakes: Fakes) -> AsyncIterator[httpx.AsyncClient]:
    numbers = {"connections": 0.0, "last_snapshot_id": 0.0, "uptime_seconds": 1.5}
    api = Api(
        fakes.take, fakes.registry.peers, fakes, fakes, lambda: numbers, 5000, "0.1.0",
        trio.CapacityLimiter(1),
    )  # fmt: skip
    transport = httpx.ASGITransport(build_app(api.routes()), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as made:
        yield made


@pytest.mark.parametrize(
    ("body", "timeout_ms"),
    [(b"", 5000), (b"{}", 5000), (b'{"timeout_ms": 1}', 1), (b'{"timeout_ms": 60000}', 60000)],
)
async def test_jump_now(
    client: httpx.AsyncClient, fakes: Fakes, body: bytes, timeout_ms: int
) -> None:
    response = await client.post("/api/jump-now", content=body)
    assert response.status_code == 200
    assert response.json() == {
        "snapshot_id": 7,
        "requested": 1,
        "responded": 0,
        "timed_out": 1,
        "disconnected": 0,
        "errors": 0,
        "elapsed_ms": 12.346,
        "skew_ms": None,
        "unresolved_edges": 0,
        "processes": [
            {
                "proc_key": "web-1",
                "process": "web",
                "pid": 1,
                "status": "timeout",
                "error_text": None,
                "nodes": 0,
                "edges": 0,
            }
        ],
    }
    assert fakes.taken == [timeout_ms]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"timeout_ms": 0}', "from 1 to 60000"),
        (b'{"timeout_ms": 60001}', "from 1 to 60000"),
        (b'{"timeout_ms": "5"}', "whole number"),
        (b'{"timeout_ms": true}', "whole number"),
        (b'{"timeout": 5}', "unknown field 'timeout'"),
        (b"[]", "not a JSON object"),
        (b"{", "not JSON"),
    ],
)
async def test_a_bad_request_says_what_to_do(
    client: httpx.AsyncClient, fakes: Fakes, body: bytes, said: str
) -> None:
    response = await client.post("/api/jump-now", content=body)
    assert response.status_code == 400
    assert said in response.json()["error"]
    assert fakes.taken == []


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NobodyConnected("nobody", hint="start some"), 503),
        (StoreError("disk full"), 503),
        (BadRequest("no"), 400),
        (TooManyRequests("busy"), 429),
        (RuntimeError("secret detail"), 500),
    ],
)
async def test_every_error_has_one_shape(
    client: httpx.AsyncClient, fakes: Fakes, error: Exception, status: int
) -> None:
    fakes.fail = error
    for path, body in (("/api/jump-now", None), ("/api/sql", {"sql": "select 1"})):
        response = await client.post(path, json=body)
        assert response.status_code == status
        assert set(response.json()) <= {"error", "hint"}
        assert "secret detail" not in response.text
        assert ("retry-after" in response.headers) == (status == 429)


async def test_more_snapshots_at_once_than_allowed_are_refused(
    client: httpx.AsyncClient, fakes: Fakes
) -> None:
    began, end = trio.Event(), trio.Event()

    async def slow(timeout_ms: int) -> SnapshotSummary:
        began.set()
        await end.wait()
        return SUMMARY

    object.__setattr__(fakes, "take", slow)
    api = Api(slow, fakes.registry.peers, fakes, fakes, dict, 5000, "0", trio.CapacityLimiter(1))
    transport = httpx.ASGITransport(build_app(api.routes()))
    async with (
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(http.post, "/api/jump-now")
        await began.wait()
        assert (await http.post("/api/jump-now")).status_code == 429
        end.set()


async def test_sql_is_handed_on_as_it_is(client: httpx.AsyncClient, fakes: Fakes) -> None:
    body = {"sql": "select ?", "params": [1], "snapshot_id": 7}
    response = await client.post("/api/sql", json=body)
    assert response.json() == {"rows": []}
    await client.post("/api/sql", json={"sql": "select 1", "params": None})
    assert fakes.asked == [("select ?", [1], 7), ("select 1", [], None)]


@pytest.mark.parametrize("body", [{}, {"sql": 5}, {"sql": "select 1", "parms": []}])
async def test_sql_needs_sql(client: httpx.AsyncClient, fakes: Fakes, body: Any) -> None:
    assert (await client.post("/api/sql", json=body)).status_code == 400
    assert fakes.asked == []


async def test_snapshots(client: httpx.AsyncClient, fakes: Fakes) -> None:
    assert (await client.get("/api/snapshots")).json() == {"snapshots": [{"snapshot_id": 7}]}
    await client.get("/api/snapshots?limit=3&before=9")
    assert fakes.asked == [(50, None), (3, 9)]
    assert (await client.get("/api/snapshots/7")).json() == {"snapshot_id": 7}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/snapshots?limit=0", 400),
        ("/api/snapshots?limit=x", 400),
        ("/api/snapshots?limit=99999999999999999999999", 400),
        (f"/api/snapshots?limit={'0' * 20}1000000", 400),
        (f"/api/snapshots?limit={'9' * 5000}", 400),
        (f"/api/snapshots?before={'0' * 20}{2**63}", 400),
        ("/api/snapshots?before=-1", 400),
        ("/api/snapshots/8", 404),
        ("/api/snapshots/99999999999999999999999", 404),
        ("/api/snapshots/" + "9" * 5000, 404),
        ("/api/snapshots/" + "0" * 20 + "7", 404),
        ("/api/snapshots/x", 404),
        ("/nope", 404),
    ],
)
async def test_what_is_not_there(client: httpx.AsyncClient, path: str, status: int) -> None:
    response = await client.get(path)
    assert response.status_code == status
    assert response.json()["error"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/api/snapshots/1/blockers?limit={'0' * 20}1000000", 400),
        (f"/api/snapshots/1/blockers?limit={'9' * 5000}", 400),
        (f"/api/snapshots/1/why?confirm_with={'0' * 20}{2**63}", 400),
        ("/api/snapshots/" + "9" * 5000 + "/why", 404),
        (f"/api/snapshots/{'0' * 20}{2**63}/why", 404),
    ],
)
async def test_numbers_are_bounded_as_a_whole(path: str, status: int) -> None:
    async def ask(question: str, args: Mapping[str, Any]) -> bytes:
        raise AssertionError(f"{question} was asked with {args}")

    app = build_app(AnswersApi(ask).routes())
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        response = await client.get(path)
    assert response.status_code == status
    assert response.json()["error"]


async def test_a_wrong_method_says_so(client: httpx.AsyncClient) -> None:
    response = await client.get("/api/jump-now")
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"
    assert response.json()["error"]


async def test_connections_describe_each_peer(client: httpx.AsyncClient, fakes: Fakes) -> None:
    peer = fakes.registry.new_peer(
        local_address="l", remote_address="1.2.3.4:5", now_ns=0, ask=lambda request: True
    )
    fakes.registry.admit(peer)
    fakes.registry.identify(peer, "web", 1)
    found = (await client.get("/api/connections")).json()
    assert found["count"] == 1
    (described,) = found["connections"]
    assert (described["proc_key"], described["address"]) == ("web-1", "1.2.3.4:5")


async def test_health_metrics_and_index(client: httpx.AsyncClient) -> None:
    health = (await client.get("/health")).json()
    assert (health["status"], health["last_snapshot_id"]) == ("ok", None)
    metrics = (await client.get("/metrics")).text
    assert "# TYPE peepsd_connections gauge\npeepsd_connections 0\n" in metrics
    assert "POST /api/jump-now" in (await client.get("/")).json()["routes"]
