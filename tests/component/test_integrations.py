"""Requests and responses through real clients and servers of this process."""

import asyncio
import sys
import threading
import types
from collections.abc import Iterator
from typing import Any

import aiohttp
import httpx
import pytest
from aiohttp import web
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import peeps
from peeps import _api
from peeps.collectors.requests import Requests
from peeps.cut import Cut, Seen
from peeps.graph import Graph
from peeps.integrations import aiohttp as for_aiohttp
from peeps.integrations import asgi, calls
from peeps.integrations import httpx as for_httpx
from peeps.integrations.traceparent import parse
from peeps.registry import Registry

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def agent_on(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(_api, "_registry", Registry())
    yield
    assert calls.current_calls() == []
    calls._calls.clear()


def look() -> tuple[dict[str, dict[str, Any]], set[tuple[str, str]]]:
    """Nodes by id, and needs edges, of what is under way."""
    collector, cut, graph = Requests(), Cut(), Graph("o")
    collector.build(collector.capture(cut), graph, Seen(cut, {}))
    found = graph.to_dict()
    nodes = {node["id"]: node for node in found["nodes"]}
    return nodes, {(edge["src"], edge["dst"]) for edge in found["edges"]}


class Server:
    """An ASGI application that holds each request until it is let go."""

    def __init__(self, expected: int = 1) -> None:
        self.expected = expected
        self.headers: list[str | None] = []
        self.reached = asyncio.Event()
        self.let_go = asyncio.Event()
        routes = [Route("/orders/{number}", self.order), Route("/broken", self.broken)]
        self.app = asgi.Middleware(Starlette(routes=routes))

    async def order(self, request: Any) -> PlainTextResponse:
        self.headers.append(request.headers.get("traceparent"))
        if len(self.headers) == self.expected:
            self.reached.set()
        await self.let_go.wait()
        return PlainTextResponse("ok")

    async def broken(self, request: Any) -> None:
        self.headers.append(request.headers.get("traceparent"))
        raise RuntimeError

    def client(self) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app)
        return for_httpx.instrument(
            httpx.AsyncClient(transport=transport, base_url="http://server")
        )


@pytest.mark.usefixtures("agent_on")
def test_request_and_response_are_tied() -> None:
    async def main() -> None:
        server = Server()
        async with server.client() as client:
            task = asyncio.create_task(client.get("/orders/7?secret=1"))
            await server.reached.wait()
            nodes, edges = look()
            (header,) = server.headers
            parent = parse(header)
            assert parent is not None
            request, response = f"request:{parent.key}", f"response:{parent.key}"
            assert (request, response) in edges
            assert {src for src, dst in edges if dst == request} == {
                dst for src, dst in edges if src == response
            }, "both ends are in one task here"
            attrs = nodes[response]["attrs"]
            assert attrs.pop("age_s") >= 0
            assert attrs == {
                "method": "GET",
                "path": "/orders/{number}",
                "trace_id": parent.trace_id,
                "span_id": parent.span_id,
            }
            assert nodes[request]["label"] == "GET /orders/7"
            assert "secret" not in repr((nodes, edges))
            server.let_go.set()
            assert (await task).text == "ok"

    asyncio.run(main())


@pytest.mark.usefixtures("agent_on")
def test_a_response_being_streamed_is_still_under_way() -> None:
    async def main() -> None:
        server = Server()
        server.let_go.set()
        async with server.client() as client:
            async with client.stream("GET", "/orders/7") as response:
                (node,) = look()[0].values()
                assert (node["kind"], node["attrs"]["status"]) == ("request", 200)
                await response.aread()
            assert look()[0] == {}

    asyncio.run(main())


@pytest.mark.usefixtures("agent_on")
def test_errors_end_a_call() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no")

    client = for_httpx.instrument(httpx.Client(transport=httpx.MockTransport(refuse)))
    with client, pytest.raises(httpx.ConnectError):
        client.get("http://server/")

    async def main() -> None:
        async with Server().client() as client:
            with pytest.raises(RuntimeError):
                await client.get("/broken")

    asyncio.run(main())


@pytest.mark.usefixtures("agent_on")
def test_a_header_that_is_there_is_used_once() -> None:
    given = f"00-{TRACE}-{SPAN}-01"

    async def main() -> None:
        server = Server(expected=2)
        async with server.client() as client, asyncio.TaskGroup() as group:
            for _ in range(2):
                group.create_task(client.get("/orders/1", headers={"traceparent": given}))
            await server.reached.wait()
            server.let_go.set()
        first, second = (parse(header) for header in server.headers)
        assert first is not None
        assert second is not None
        assert {str(first), str(second)} > {given}
        assert first.trace_id == second.trace_id == TRACE
        assert first.span_id != second.span_id

    asyncio.run(main())


@pytest.mark.usefixtures("agent_on")
def test_what_a_handler_calls_belongs_to_the_same_trace() -> None:
    inner_headers: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        inner_headers.append(request.headers["traceparent"])
        return httpx.Response(200)

    async def endpoint(scope: Any, receive: Any, send: Any) -> None:
        transport = httpx.MockTransport(answer)
        async with for_httpx.instrument(httpx.AsyncClient(transport=transport)) as inner:
            await inner.get("http://next/")
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    async def main() -> None:
        transport = httpx.ASGITransport(asgi.Middleware(endpoint))
        async with httpx.AsyncClient(transport=transport) as outer:
            headers = {"traceparent": f"00-{TRACE}-{SPAN}-01"}
            assert (await outer.get("http://server/", headers=headers)).status_code == 204

    asyncio.run(main())
    parent = parse(inner_headers[0])
    assert parent is not None
    assert parent.trace_id == TRACE
    assert parent.span_id != SPAN


@pytest.mark.usefixtures("agent_on")
def test_the_current_span_of_opentelemetry_is_the_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    context = types.SimpleNamespace(
        is_valid=True, trace_id=int(TRACE, 16), span_id=int(SPAN, 16), trace_flags=1
    )
    span = types.SimpleNamespace(get_span_context=lambda: context)
    fake = types.SimpleNamespace(get_current_span=lambda: span)
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", fake)  # type: ignore[arg-type]
    call = calls.begin_request("GET", "/", None)
    assert call is not None
    assert str(call.parent) == f"00-{TRACE}-{SPAN}-01"
    call.end()


@pytest.mark.usefixtures("agent_on")
def test_a_thread_waits_for_its_request() -> None:
    reached, let_go = threading.Event(), threading.Event()

    def answer(request: httpx.Request) -> httpx.Response:
        reached.set()
        let_go.wait()
        return httpx.Response(200)

    client = for_httpx.instrument(httpx.Client(transport=httpx.MockTransport(answer)))
    thread = threading.Thread(target=client.get, args=("http://server/a",))
    thread.start()
    reached.wait()
    nodes, edges = look()
    (request,) = nodes
    assert (f"thread:o/{thread.ident:x}", request) in edges
    let_go.set()
    thread.join()
    client.close()


@pytest.mark.usefixtures("agent_on")
def test_aiohttp() -> None:
    async def main() -> None:
        headers: list[str | None] = []

        async def answer(request: web.Request) -> web.StreamResponse:
            headers.append(request.headers.get("traceparent"))
            response = web.StreamResponse()
            response.content_length = 2
            await response.prepare(request)
            await let_go.wait()
            await response.write(b"ok")
            return response

        let_go = asyncio.Event()
        app = web.Application()
        app.router.add_get("/stock", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/stock?q=1"
        trace_configs = [for_aiohttp.trace_config()]
        async with aiohttp.ClientSession(trace_configs=trace_configs) as session:
            async with session.get(url) as response:
                parent = parse(headers[0])
                assert parent is not None
                nodes, _ = look()
                node = nodes[f"request:{parent.key}"]
                assert node["label"] == "GET /stock"
                assert node["attrs"]["status"] == 200
                let_go.set()
                assert await response.text() == "ok"
            assert look()[0] == {}
            with pytest.raises(aiohttp.ClientError):
                await session.get("http://127.0.0.1:1/")
            assert look()[0] == {}
        await runner.cleanup()

    asyncio.run(main())


def test_nothing_happens_while_the_agent_is_off() -> None:
    assert peeps.status()["state"] == "off"

    async def main() -> None:
        server = Server()
        server.let_go.set()
        async with server.client() as client:
            assert (await client.get("/orders/1")).text == "ok"
        assert server.headers == [None]
        assert look()[0] == {}

    asyncio.run(main())


def test_instrumenting_twice_is_once() -> None:
    with for_httpx.instrument(for_httpx.instrument(httpx.Client())) as client:
        assert isinstance(client._transport, for_httpx.Transport)
        assert not isinstance(client._transport.inner, for_httpx.Transport)
