"""Hypercorn's HTTP/1.1 and WebSocket protocol, as we want it spoken.

Decides what is not spoken (HTTP/2, compression), and that a refusal says what to do. Refuses to
know sockets and deadlines.
"""

from collections.abc import Callable, Coroutine
from typing import Any

import h11
import orjson
import wsproto.events
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.protocol.ws_stream import WSStream
from wsproto.events import CloseConnection
from wsproto.frame_protocol import CloseReason


class Http11(H11Protocol):
    """HTTP/1.1 and WebSocket without compression, and nothing else; errors in JSON."""

    async def _check_protocol(self, event: h11.Request) -> None:
        """No HTTP/2: neither by upgrade nor by assumption."""

    def is_lost(self) -> bool:
        """Whether a WebSocket was refused by Hypercorn itself, which then forgets to close it."""
        return isinstance(self.stream, WSStream) and self.stream.closed

    async def _create_stream(self, request: h11.Request) -> None:
        plain = [item for item in request.headers if item[0] != b"sec-websocket-extensions"]
        await super()._create_stream(
            h11.Request(
                method=request.method,
                headers=plain,
                target=request.target,
                http_version=request.http_version,
            )
        )
        if isinstance(self.stream, WSStream):
            self.stream._send_wsproto_event = _saying_why(self.stream)  # type: ignore[assignment, method-assign]

    async def _send_error_response(self, status_code: int) -> None:
        body = error_body(status_code)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
            *self.config.response_headers("h11"),
        ]
        await self._send_h11_event(h11.Response(status_code=status_code, headers=headers))
        await self._send_h11_event(h11.Data(data=body))
        await self._send_h11_event(h11.EndOfMessage())


def error_body(status: int) -> bytes:
    """What is said to bytes that are no request, and to a connection too many."""
    text = {
        431: "the headers are too large; send fewer",
        503: "too many connections are open; close one, or try again in a moment",
    }
    message = text.get(status, "this is not a valid HTTP/1.1 request")
    return orjson.dumps({"error": message}, option=orjson.OPT_APPEND_NEWLINE)


def _saying_why(stream: WSStream) -> Callable[[wsproto.events.Event], Coroutine[Any, Any, None]]:
    """The stream's own way to send, which closes on a message too long without a word."""
    send, limit = stream._send_wsproto_event, stream.buffer.max_length

    async def said(event: wsproto.events.Event) -> None:
        if event == CloseConnection(CloseReason.MESSAGE_TOO_BIG):
            event = CloseConnection(event.code, f"a message is at most {limit} bytes; send less")
        await send(event)

    return said
