"""The middleware on raw ASGI scopes: what reaches the application, and what the client sees."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

from peepsd.http.guard import BODY_DEADLINE_S, Guard, Policy

POLICY = Policy.listening_on("127.0.0.1", 9130, token=None)

SECURITY_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


def scope(
    kind: str = "http", method: str = "GET", path: str = "/x", **headers: str
) -> dict[str, Any]:
    given = {"host": "127.0.0.1:9130"} | {k.replace("_", "-"): v for k, v in headers.items()}
    return {
        "type": kind,
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.title().encode(), value.encode()) for name, value in given.items()],
        "server": ("127.0.0.1", 9130),
        "extensions": {"websocket.http.response": {}} if kind == "websocket" else {},
    }


class App:
    """Answers 200 with what it received; keeps what it saw."""

    def __init__(self, headers: list[tuple[bytes, bytes]] | None = None) -> None:
        self.headers = headers or []
        self.received: list[dict[str, Any]] = []
        self.scopes: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope["type"])
        if scope["type"] != "http":
            return
        while not self.received or self.received[-1].get("more_body"):
            self.received.append(await receive())
        await send({"type": "http.response.start", "status": 200, "headers": self.headers})
        await send({"type": "http.response.body", "body": b"hello"})


async def drive(
    guard: Guard, scope: dict[str, Any], *messages: dict[str, Any]
) -> list[dict[str, Any]]:
    pending, sent = list(messages), list[dict[str, Any]]()

    async def receive() -> dict[str, Any]:
        if not pending:
            await trio.sleep_forever()
        return pending.pop(0)

    async def send(message: Any) -> None:
        sent.append(dict(message))

    await guard(scope, receive, send)
    return sent


def headers_of(message: dict[str, Any]) -> dict[str, str]:
    decoded = [(name.decode().lower(), value.decode()) for name, value in message["headers"]]
    assert len(dict(decoded)) == len(decoded), "a header twice"
    return dict(decoded)


async def test_a_response_carries_the_security_headers_and_no_cors() -> None:
    app = App(
        [
            (b"content-type", b"text/html"),
            (b"Access-Control-Allow-Origin", b"*"),
            (b"Cache-Control", b"public"),
        ]
    )
    start, body = await drive(Guard(app, POLICY), scope())
    assert headers_of(start) == SECURITY_HEADERS | {"content-type": "text/html"}
    assert body["body"] == b"hello"


async def test_a_refusal_is_json_and_carries_them_too() -> None:
    app = App()
    guard = Guard(app, POLICY)
    start, body = await drive(guard, scope(method="DELETE"))
    assert start["status"] == 405
    headers = headers_of(start)
    assert headers.items() >= SECURITY_HEADERS.items()
    assert headers["allow"] == "GET, HEAD, POST"
    assert headers["content-type"] == "application/json"
    assert int(headers["content-length"]) == len(body["body"])
    assert json.loads(body["body"])["error"].startswith("the method DELETE is not allowed")
    assert app.scopes == []
    assert guard.refused == {405: 1}


async def test_a_method_that_is_not_allowed_is_told_those_of_its_path() -> None:
    guard = Guard(App(), POLICY, lambda path: ["POST"] if path == "/x" else [])
    start, body = await drive(guard, scope(method="DELETE"))
    assert headers_of(start)["allow"] == "POST"
    assert json.loads(body["body"])["error"].endswith("use one of POST")
    start, _ = await drive(guard, scope(method="DELETE", path="/nowhere"))
    assert headers_of(start)["allow"] == "GET, HEAD, POST"


async def test_a_body_reaches_the_application_whole() -> None:
    app = App()
    pieces = [{"type": "http.request", "body": b"[1,", "more_body": True},
              {"type": "http.request", "body": b"2]", "more_body": True},
              {"type": "http.request", "body": b"", "more_body": False}]  # fmt: skip
    asked = scope(method="POST", content_length="5", content_type="application/json")
    start, _ = await drive(Guard(app, POLICY), asked, *pieces)
    assert start["status"] == 200
    assert app.received == [{"type": "http.request", "body": b"[1,2]", "more_body": False}]


async def test_without_a_body_the_application_need_not_wait() -> None:
    app = App()
    await drive(Guard(app, POLICY), scope(method="POST"))
    assert app.received == [{"type": "http.request", "body": b"", "more_body": False}]


async def test_the_application_hears_of_a_client_that_leaves() -> None:
    heard: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        heard.extend([(await receive())["type"], (await receive())["type"]])

    end = {"type": "http.request", "body": b"", "more_body": False}
    await drive(Guard(app, POLICY), scope(), end, {"type": "http.disconnect"})
    assert heard == ["http.request", "http.disconnect"]


async def test_a_body_that_does_not_arrive_is_not_waited_for(
    autojump_clock: trio.testing.MockClock,
) -> None:
    app = App()
    asked = scope(method="POST", content_length="5", content_type="application/json")
    piece = {"type": "http.request", "body": b"[1", "more_body": True}
    before = trio.current_time()
    start, body = await drive(Guard(app, POLICY), asked, piece)
    assert start["status"] == 408
    assert "within 10 s" in json.loads(body["body"])["error"]
    assert trio.current_time() - before == pytest.approx(BODY_DEADLINE_S)
    assert app.scopes == []


async def test_a_client_that_leaves_before_its_body_is_not_answered() -> None:
    app = App()
    asked = scope(method="POST", content_length="5", content_type="application/json")
    assert await drive(Guard(app, POLICY), asked, {"type": "http.disconnect"}) == []
    assert app.scopes == []


CONNECT = {"type": "websocket.connect"}


async def test_a_websocket_is_let_through_or_refused_with_a_reason() -> None:
    app = App()
    guard = Guard(app, POLICY)
    assert await drive(guard, scope("websocket"), CONNECT) == []
    assert app.scopes == ["websocket"]
    start, body = await drive(guard, scope("websocket", origin="http://evil.example"), CONNECT)
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 403)
    assert body["type"] == "websocket.http.response.body"
    assert "evil.example" in json.loads(body["body"])["error"]
    assert app.scopes == ["websocket"]


async def test_what_refuses_a_websocket_inside_carries_the_security_headers() -> None:
    async def nowhere(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.http.response.start", "status": 404, "headers": []})

    [start] = await drive(Guard(nowhere, POLICY), scope("websocket"), CONNECT)
    assert headers_of(start) == SECURITY_HEADERS


async def test_a_server_that_cannot_refuse_a_websocket_with_a_body_closes_it() -> None:
    asked = scope("websocket", origin="http://evil.example") | {"extensions": {}}
    assert await drive(Guard(App(), POLICY), asked, CONNECT) == [
        {"type": "websocket.close", "code": 1008}
    ]


async def test_the_lifespan_is_none_of_its_business() -> None:
    app = App()
    await drive(Guard(app, POLICY), {"type": "lifespan"})
    assert app.scopes == ["lifespan"]


@pytest.mark.parametrize("make", [lambda: scope("http"), lambda: scope("websocket")])
async def test_without_a_token_nobody_gets_in(make: Callable[[], dict[str, Any]]) -> None:
    app = App()
    guard = Guard(app, Policy.listening_on("127.0.0.1", 9130, token="t"))
    start, _ = await drive(guard, make(), CONNECT)
    assert start["status"] == 401
    assert headers_of(start)["www-authenticate"] == 'Bearer realm="peepsd"'
    assert app.scopes == []
