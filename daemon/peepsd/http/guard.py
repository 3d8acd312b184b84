"""The guard at the door: ASGI middleware around everything that is served.

Decides nothing itself (guard_rules.py does), but sees to it: refusals are JSON, bodies arrive
whole and soon or not at all, every response carries the security headers. Refuses to know what is
asked.
"""

from collections import Counter
from collections.abc import Callable, Collection
from typing import Any, Final

import orjson
import trio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .guard_rules import (
    Policy,
    Refuse,
    Request,
    content_length,
    decide,
    method_not_allowed,
)

__all__ = ["Guard", "Policy"]

BODY_DEADLINE_S: Final = 10.0

_HEADERS: Final[dict[bytes, bytes]] = {
    b"content-security-policy": (
        b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        b"img-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    b"x-content-type-options": b"nosniff",
    b"cross-origin-resource-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"referrer-policy": b"no-referrer",
    b"cache-control": b"no-store",
}

_RESPONSE_STARTS: Final = ("http.response.start", "websocket.http.response.start")


class Guard:
    """ASGI middleware: lets through what `decide` allows, with the body already read.

    Adds the security headers to every response and takes every CORS header away. `refused`
    counts refusals by status. methods_at: the methods of a path, empty if there is no such path;
    it only serves to name them to those who used another.
    """

    def __init__(
        self,
        app: ASGIApp,
        policy: Policy,
        methods_at: Callable[[str], Collection[str]] = lambda path: (),
    ) -> None:
        self._app, self._policy, self._methods_at = app, policy, methods_at
        self.refused: Counter[int] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        request = _request_of(scope)
        if (refusal := decide(request, self._policy)) is not None:
            if refusal.status == 405 and (methods := self._methods_at(scope["path"])):
                refusal = method_not_allowed(request.method, methods)
            return await self._refuse(refusal, scope, receive, send)
        if request.is_websocket:
            return await self._app(scope, receive, _hardened(send))
        body = await _read_body(receive, content_length(request))
        if isinstance(body, Refuse):
            return await self._refuse(body, scope, receive, send)
        if body is None:
            return None
        return await self._app(scope, _replay(body, receive), _hardened(send))

    async def _refuse(self, refusal: Refuse, scope: Scope, receive: Receive, send: Send) -> None:
        self.refused[refusal.status] += 1
        kind = "http.response"
        if scope["type"] == "websocket":
            await receive()  # websocket.connect
            if "websocket.http.response" not in scope.get("extensions", {}):
                return await send({"type": "websocket.close", "code": 1008})
            kind = "websocket.http.response"
        body = orjson.dumps({"error": refusal.message}, option=orjson.OPT_APPEND_NEWLINE)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            *_HEADERS.items(),
            *refusal.headers,
        ]
        await send({"type": f"{kind}.start", "status": refusal.status, "headers": headers})
        return await send({"type": f"{kind}.body", "body": body})


def _request_of(scope: Scope) -> Request:
    query = b"?" + scope["query_string"] if scope["query_string"] else b""
    local = scope.get("server")
    return Request(
        scope.get("method", "GET"),
        scope["raw_path"] + query,
        tuple((name.lower(), value) for name, value in scope["headers"]),
        scope["type"] == "websocket",
        scope.get("http_version", "1.1"),
        local[0].removeprefix("::ffff:") if local else None,
    )


async def _read_body(receive: Receive, length: int) -> bytes | Refuse | None:
    """The whole body, soon; None if the client is gone."""
    chunks: list[bytes] = []
    if length == 0:
        return b""
    with trio.move_on_after(BODY_DEADLINE_S):
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return None
            chunks.append(message.get("body", b""))
            if not message.get("more_body", False):
                return b"".join(chunks)
    return Refuse(408, f"the body did not arrive within {BODY_DEADLINE_S:g} s; send it at once")


def _replay(body: bytes, receive: Receive) -> Receive:
    pending: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return pending.pop() if pending else await _next_but_end(receive)

    return replayed


async def _next_but_end(receive: Receive) -> Message:
    """The next message that is not the end of a body that was replayed."""
    while (message := await receive())["type"] == "http.request":
        pass
    return message


def _hardened(send: Send) -> Send:
    async def hardened(message: Message) -> None:
        if message["type"] in _RESPONSE_STARTS:
            kept = [
                (name, value)
                for name, value in message.get("headers", [])
                if name.lower() not in _HEADERS and not name.lower().startswith(b"access-control-")
            ]
            message = {**message, "headers": [*kept, *_HEADERS.items()]}
        await send(message)

    return hardened
