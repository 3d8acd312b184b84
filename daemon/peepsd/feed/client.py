"""An observer: pull and push over /introspect, and following a server across reconnects.

    async with observing("ws://127.0.0.1:9130/introspect") as feed:
        print(feed.runtime)
        state = await feed.pull_state()

    await follow(url, [Source.STATE, Source.EVENTS], tell=print)

Decides how to ask (signals, bare or prefixed) and when to try again. What is kept of what comes
is history.History's to decide.
"""

import json
import random
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Never

import trio

from .connection import (
    FeedClosed,
    FeedConnection,
    FeedUnavailable,
    UnreadableFrame,
    connected,
)
from .modes import Source
from .pb import introspection_pb2 as pb

RETRY_FIRST_S, RETRY_MOST_S = 0.25, 10.0

_Signal = pb.ClientSignal


@dataclass(frozen=True, slots=True)
class Connected:
    """The server is there (again); what was pushed before may have a gap after it."""

    url: str


@dataclass(frozen=True, slots=True)
class Lost:
    """The server is gone; trying again in `retry_in_s`."""

    reason: str
    retry_in_s: float


@dataclass(frozen=True, slots=True)
class Received:
    """One message, as it came and decoded."""

    payload: bytes
    message: pb.ServerMessage


Update = Connected | Lost | Received


class Feed:
    """What an observer may ask of one connection. One task receives; any may ask."""

    def __init__(self, connection: FeedConnection) -> None:
        self._connection = connection
        self.runtime: pb.Runtime | None = None
        """As last received."""

    async def receive(self) -> Received:
        """The next message of any kind. Raises FeedClosed, UnreadableFrame."""
        payload, message = await self._connection.receive()
        if message.HasField("runtime"):
            self.runtime = message.runtime
        return Received(payload, message)

    async def request_state(self) -> None:
        """Say that the next State is wanted; it comes by `receive`."""
        await self._signal(_Signal.SEND_DATA, Source.STATE)

    async def request_runtime(self) -> None:
        """Ask for the metadata again."""
        await self._signal(_Signal.SEND_DATA, Source.RUNTIME)

    async def pull_state(self) -> pb.State:
        """The next State that was not sent before; anything else that comes is dropped."""
        await self.request_state()
        while True:
            message = (await self.receive()).message
            if message.HasField("state"):
                return message.state

    async def start(self, source: Source) -> None:
        """Have this source pushed."""
        await self._signal(_Signal.START_PUSH_EMITTER, source)

    async def stop(self, source: Source) -> None:
        """End that."""
        await self._signal(_Signal.STOP_PUSH_EMITTER, source)

    async def pause(self, source: Source) -> None:
        """Have the server queue what it would push."""
        await self._signal(_Signal.PAUSE_PUSH_EMITTER, source)

    async def unpause(self, source: Source) -> None:
        """Get what was queued, then go on."""
        await self._signal(_Signal.UNPAUSE_PUSH_EMITTER, source)

    async def configure(
        self, *, interval_ms: int | None = None, retention_ms: int | None = None
    ) -> None:
        """Ask for settings; the effective ones come in the next Runtime, if they changed."""
        asked = {"send_state_interval_ms": interval_ms, "retention_period_ms": retention_ms}
        content = json.dumps({name: value for name, value in asked.items() if value is not None})
        await self._signal(_Signal.CONFIG_EMITTER, Source.STATE, content)

    async def _signal(
        self, signal: pb.ClientSignal.Signal, source: Source, content: str = ""
    ) -> None:
        await self._connection.send(
            pb.ClientSignal(
                version=pb.Version(version=1),
                signal=signal,
                data_source=_Signal.DataSource.Name(source),
                content=content,
            )
        )


@asynccontextmanager
async def observing(url: str, token: str | None = None) -> AsyncIterator[Feed]:
    """One connection, greeted: its runtime is there. Raises FeedUnavailable, FeedClosed."""
    async with connected(url, token) as connection:
        feed = Feed(connection)
        await feed.request_runtime()
        while feed.runtime is None:
            await feed.receive()
        yield feed


async def follow(
    url: str,
    sources: Iterable[Source],
    tell: Callable[[Update], None],
    *,
    token: str | None = None,
    interval_ms: int | None = None,
    wait_for_server: bool = True,
) -> Never:
    """Tell everything that these sources push; the connection is made again when it is lost.

    Runs until cancelled. `tell` must not block. `wait_for_server` False: raises
    FeedUnavailable if the first attempt fails.
    """
    retry = Retry()
    has_connected = False
    while True:
        began_s = trio.current_time()
        try:
            async with connected(url, token) as connection:
                has_connected = True
                tell(Connected(connection.name))
                await _subscribe(Feed(connection), sources, interval_ms, tell)
        except (FeedUnavailable, FeedClosed, UnreadableFrame) as exc:
            if not (has_connected or wait_for_server):
                raise
            retry.lasted(trio.current_time() - began_s)
            wait_s = retry.next_s()
            tell(Lost(exc.message, wait_s))
            await trio.sleep(wait_s)


async def _subscribe(
    feed: Feed, sources: Iterable[Source], interval_ms: int | None, tell: Callable[[Update], None]
) -> Never:
    if interval_ms is not None:
        await feed.configure(interval_ms=interval_ms)
    for source in sources:
        await feed.start(source)
    while True:
        tell(await feed.receive())


class Retry:
    """Jittered waits that double up to RETRY_MOST_S, and begin anew after a connection that
    lasted as long. One that is closed at once gets the next longer wait."""

    def __init__(self) -> None:
        self._next_s = RETRY_FIRST_S

    def lasted(self, seconds: float) -> None:
        """A connection has ended that was open for so long."""
        if seconds >= RETRY_MOST_S:
            self._next_s = RETRY_FIRST_S

    def next_s(self) -> float:
        """How long to wait before the next attempt."""
        wait_s = self._next_s * random.uniform(0.5, 1.0)
        self._next_s = min(self._next_s * 2, RETRY_MOST_S)
        return wait_s
