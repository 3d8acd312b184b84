"""One WebSocket to a server of the observer protocol, seen from the observer's side.

Decides that either framing is understood and that every way of losing the server is one error.
Refuses to know what is asked of the server: signals and commands are the callers' to compose.
"""

import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import trio
from google.protobuf.message import DecodeError

from ..core.identity import safe_text
from ..errors import PeepsError
from .framing import MAX_MESSAGE_BYTES, FramingError, unframe
from .pb import introspection_pb2 as pb
from .websocket import BadUrl, Closed, Rejected, WebSocket, open_websocket, shown

CONNECT_S = 10.0
_NO_WORD = 1006
"""Never sent: it stands for an end without a word (RFC 6455 section 7.4.1)."""
_CLOSE_WORDS = {1000: "it is done", 1001: "it is stopping", 1011: "an error of its own"}
_UNAUTHORIZED = 401
_REFUSAL_HINTS = {
    _UNAUTHORIZED: "give the token of that peepsd: PEEPS_TOKEN, or --token",
    403: "is the path right (/introspect), and does it want a token (PEEPS_TOKEN)?",
}
_LARGE_FRAME_BYTES = 128 * 1024
"""From this size on a frame's checksums would hold up everybody else for more than 10 ms."""


class FeedUnavailable(PeepsError):
    """There is no server, or it refuses us."""


class FeedClosed(PeepsError):
    """The server ended the connection, or it broke."""


class UnreadableFrame(PeepsError):
    """The server sent something that is not of this protocol."""


class FeedConnection:
    """An open connection."""

    def __init__(self, url: str, websocket: WebSocket) -> None:
        self.url = url
        self.name = shown(url)
        self.bytes_in = self.bytes_out = 0
        self.frames_in = self.frames_out = 0
        self.local_address = websocket.local_address
        self._websocket = websocket
        self._pending: deque[bytes] = deque()

    async def send(self, message: pb.ClientSignal | pb.ClientCommand) -> None:
        """Send one message. Raises FeedClosed."""
        frame = message.SerializeToString()
        try:
            await self._websocket.send(frame)
        except Closed as exc:
            raise _closed(self.name, exc) from None
        self.bytes_out += len(frame)
        self.frames_out += 1

    async def receive(self) -> tuple[bytes, pb.ServerMessage]:
        """The next message, as it came and decoded. Raises FeedClosed, UnreadableFrame.

        Lets others run each time, however much came in one frame.
        """
        if self._pending:
            await trio.lowlevel.checkpoint()
        while not self._pending:
            try:
                frame = await self._websocket.receive()
            except Closed as exc:
                raise _closed(self.name, exc) from None
            self.bytes_in += len(frame)
            self.frames_in += 1
            try:
                if len(frame) < _LARGE_FRAME_BYTES:
                    self._pending.extend(unframe(frame))
                else:
                    self._pending.extend(await trio.to_thread.run_sync(unframe, frame))
            except FramingError as exc:
                raise UnreadableFrame(f"{self.name}: {exc}") from None
        payload = self._pending.popleft()
        try:
            return payload, pb.ServerMessage.FromString(payload)
        except DecodeError as exc:
            raise UnreadableFrame(f"{self.name}: no ServerMessage: {exc}") from None


@asynccontextmanager
async def connected(url: str, token: str | None = None) -> AsyncIterator[FeedConnection]:
    """A connection to `url` (ws:// or wss://), closed at the end. Raises FeedUnavailable."""
    name = shown(url)
    if token and (token != token.strip() or not token.isprintable()):
        raise FeedUnavailable(
            f"{name}: the token cannot be sent",
            hint="it begins or ends with a blank, or holds a line break or the like",
        )
    headers = [(b"authorization", b"Bearer " + token.encode())] if token else []
    async with AsyncExitStack() as stack:
        try:
            websocket = await stack.enter_async_context(
                open_websocket(
                    url, headers, max_message_bytes=MAX_MESSAGE_BYTES, connect_s=CONNECT_S
                )
            )
        except BadUrl:
            raise FeedUnavailable(
                f"{name!r} is no WebSocket address",
                hint="it looks like ws://127.0.0.1:9130/introspect",
            ) from None
        except Rejected as exc:
            raise _rejected(name, exc) from None
        except trio.TooSlowError:
            raise FeedUnavailable(f"{name}: no answer within {CONNECT_S:g} s") from None
        except (OSError, Closed) as exc:
            why = exc.reason if isinstance(exc, Closed) else str(exc)
            raise FeedUnavailable(
                f"{name}: {why}",
                hint="is peepsd (or the introspection server) running, and is this its address?",
            ) from None
        yield FeedConnection(url, websocket)


def _rejected(name: str, refusal: Rejected) -> FeedUnavailable:
    """What the server said of it, if it speaks as peepsd does; else what it may be."""
    try:
        said = json.loads(refusal.body)
        words, hint = str(said["error"]), said.get("hint")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        words, hint = "", None
    if not hint and (not words or refusal.status == _UNAUTHORIZED):
        hint = _REFUSAL_HINTS.get(
            refusal.status, "is this the address of peepsd, or of an introspection server?"
        )
    why = f": {safe_text(words, 300)}" if words else ""
    return FeedUnavailable(
        f"{name}: refused with status {refusal.status}{why}",
        hint=safe_text(str(hint), 300) if hint else None,
    )


def _closed(name: str, exc: Closed) -> FeedClosed:
    if exc.code in (None, _NO_WORD):
        return FeedClosed(f"{name}: {exc.reason or 'the connection broke'}")
    why = safe_text(exc.reason, 300) or _CLOSE_WORDS.get(exc.code, "")
    return FeedClosed(f"{name}: closed by the server with {exc.code}" + (f": {why}" if why else ""))
