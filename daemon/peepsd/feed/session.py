"""Moves frames between one WebSocket and its observer. Thin: every decision is elsewhere.

Decides only what costs us: how long and how often a client may send, and how long it may take
nothing. One task sends, one receives; an observer that does not read holds up nobody but its
own sender, while what it is owed waits in its own bounded backlog.
"""

from contextlib import AbstractAsyncContextManager, suppress
from typing import Protocol

import trio
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from .generation import Generation
from .hub import Hub
from .modes import Path
from .observer import (
    CLOSE_POLICY,
    CLOSE_TOO_BIG,
    CLOSE_TRY_LATER,
    Close,
    Observer,
)

FRAMES = "peeps.websocket.frames"
"""ASGI extension of the daemon's own server (http.connection): whole frames in one write."""


class Feed(Protocol):
    """Where observers' data comes from: a live daemon or a recording."""

    def session(self) -> AbstractAsyncContextManager[Hub]:
        """The hub for one more observer, as long as that observer is there."""


class RateLimit:
    """A token bucket; the caller passes the time in (s)."""

    def __init__(self, per_s: float, burst: int) -> None:
        self._per_s = per_s
        self._burst = float(burst)
        self._tokens = float(burst)
        self._at: float | None = None

    def allows(self, now: float) -> bool:
        """Whether one more is within the limit; counts it if so."""
        if self._at is not None:
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._per_s)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def generation_asked_for(protocol: str | None) -> Generation | None:
    """What `?protocol=` says; None: nothing. Raises ValueError for anything unknown."""
    return None if protocol is None else Generation(protocol)


async def serve(scope: Scope, receive: Receive, send: Send, path: Path, feed: Feed) -> None:
    """Serve one observer until it leaves or has to. An ASGI application."""
    websocket = WebSocket(scope, receive, send)
    await websocket.accept()
    try:
        generation = generation_asked_for(websocket.query_params.get("protocol"))
    except ValueError:
        await websocket.close(CLOSE_POLICY, "?protocol= must be signal or command")
        return
    async with feed.session() as hub:
        if hub.is_full:
            reason = f"{hub.limits.max_observers} observers are connected already"
            await websocket.close(CLOSE_TRY_LATER, reason)
            return
        pump = _Pump(websocket, send, hub)
        with hub.attached(path, generation, pump.wake) as observer:
            await pump.run(observer)


class _Pump:
    """The two tasks of one connection."""

    def __init__(self, websocket: WebSocket, send: Send, hub: Hub) -> None:
        self._websocket = websocket
        self._send_asgi = send
        self._takes_frames = FRAMES in (websocket.scope.get("extensions") or {})
        self._hub = hub
        self._limits = hub.limits
        self._work = trio.Event()

    def wake(self) -> None:
        """There may be something to send."""
        self._work.set()

    async def run(self, observer: Observer) -> None:
        """Until the client is gone or `observer.closing` says why it has to go."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._send, observer, nursery.cancel_scope)
            await self._receive(observer)
            nursery.cancel_scope.cancel()
        if observer.closing is not None:
            await self._close(observer.closing)

    async def _receive(self, observer: Observer) -> None:
        rate = RateLimit(self._limits.messages_per_s, self._limits.message_burst)
        while observer.closing is None:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            frame = message.get("bytes")
            if frame is None:
                frame = message["text"]
            if len(frame) > self._limits.max_message_bytes:
                limit = self._limits.max_message_bytes
                observer.closing = Close(
                    CLOSE_TOO_BIG, f"a message is at most {limit} bytes; send less"
                )
            elif not rate.allows(trio.current_time()):
                limit = round(self._limits.messages_per_s)
                observer.closing = Close(CLOSE_POLICY, f"more than {limit} messages a second")
            else:
                observer.receive(frame)
                self.wake()

    async def _send(self, observer: Observer, whole: trio.CancelScope) -> None:
        with trio.move_on_after(observer.greeting_wait_s):
            await self._work.wait()  # a first frame tells its generation
        observer.greet()
        while True:
            self._work = trio.Event()
            if not observer.emitter.has_work:
                await self._work.wait()
                continue
            with trio.move_on_after(self._limits.stall_s) as sending:
                await self._write(observer)
            if sending.cancelled_caught:
                seconds = round(self._limits.stall_s)
                observer.closing = Close(CLOSE_TRY_LATER, f"nothing was read for {seconds} s")
                whole.cancel()
            await trio.sleep(self._hub.breather_s)

    async def _write(self, observer: Observer) -> None:
        """Send what is due, as much as goes into one write."""
        now = trio.current_time()
        if self._takes_frames:
            data = observer.next_write(now)
            message = {"type": FRAMES, "data": data}
        else:
            data = observer.next_frame(now)
            message = {"type": "websocket.send", "bytes": data}
        if data is not None:
            # A client that has left meanwhile is `_receive`'s to notice.
            with suppress(OSError):
                await self._send_asgi(message)

    async def _close(self, close: Close) -> None:
        # It may have left by itself meanwhile.
        with trio.move_on_after(1), suppress(WebSocketDisconnect, RuntimeError):
            await self._websocket.close(close.code, close.reason)
