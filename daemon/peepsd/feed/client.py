"""An observer: pull and push over /introspect, and following a server across reconnects.

    async with observing("ws://127.0.0.1:9130/introspect") as feed:
        print(feed.runtime)
        state = await feed.pull_state()

    await follow(url, [Source.STATE, Source.EVENTS], tell=print)

Decides how long a server may take to say who it is, and when to try again. How it is asked is
dialect.py's to decide, and what is kept of what comes history.History's.
"""

import math
import random
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Never

import trio

from ..core.identity import safe_text
from .connection import (
    FeedClosed,
    FeedConnection,
    FeedUnavailable,
    UnreadableFrame,
    connected,
)
from .dialect import SILENCE_S, ClientMessage, Dialect, Verb, generation_in
from .modes import Source
from .pb import introspection_pb2 as pb

RETRY_FIRST_S, RETRY_MOST_S = 0.25, 10.0
GREETING_S = 10.0
"""Until then a server must have said who it is."""


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
    """What an observer may ask of one connection. One task receives; any may ask.

    A server of the second generation is asked by commands; a pause covers all its emitters, and
    States are pushed from the beginning, because some give none otherwise.
    """

    def __init__(self, connection: FeedConnection) -> None:
        self._connection = connection
        self._dialect = Dialect(generation_in(connection.url))
        self.runtime: pb.Runtime | None = None
        """As last received."""

    async def greet(self, tell: Callable[[Received], None] = lambda _received: None) -> None:
        """Find out how to ask, and have the Runtime; `tell` is told of what comes meanwhile.

        Raises FeedUnavailable if the server does not let itself be asked, FeedClosed,
        UnreadableFrame.
        """
        with trio.move_on_after(GREETING_S):
            await self._send(self._dialect.opened())
            while not self._dialect.is_known:
                silence_s = SILENCE_S if self._dialect.is_listening else math.inf
                with trio.move_on_after(silence_s) as listening:
                    tell(await self.receive())
                if listening.cancelled_caught:
                    await self._send(self._dialect.silent())
            if self.runtime is None:
                await self.request_runtime()
            while self.runtime is None:
                tell(await self.receive())
            return
        raise FeedUnavailable(
            f"{self._connection.name}: connected, but it has not said who it is"
            f" within {GREETING_S:g} s",
            hint="is this an introspection server? If it is, add ?protocol=signal or"
            " ?protocol=command to its address",
        )

    async def receive(self) -> Received:
        """The next message of any kind. Raises FeedClosed, UnreadableFrame, and FeedUnavailable
        if it says that we may not ask at all."""
        payload, message = await self._connection.receive()
        if message.HasField("runtime"):
            self.runtime = message.runtime
        was_known = self._dialect.is_known
        answers, refusal = self._dialect.received(message)
        if refusal is not None and not was_known:
            raise FeedUnavailable(f"{self._connection.name}: {safe_text(refusal.text, 300)}")
        await self._send(answers)
        return Received(payload, message)

    async def request_state(self) -> None:
        """Say that the next State is wanted; it comes by `receive`."""
        await self._send(self._dialect.request_state())

    async def request_runtime(self) -> None:
        """Ask for the metadata again."""
        await self._send([self._dialect.request_runtime()])

    async def pull_state(self) -> pb.State:
        """The next State that was not sent before; anything else that comes is dropped."""
        await self.request_state()
        while True:
            message = (await self.receive()).message
            if message.HasField("state"):
                return message.state

    async def start(self, source: Source) -> None:
        """Have this source pushed."""
        await self._send([self._dialect.push(Verb.START, source)])

    async def stop(self, source: Source) -> None:
        """End that."""
        await self._send([self._dialect.push(Verb.STOP, source)])

    async def pause(self, source: Source) -> None:
        """Have the server queue what it would push."""
        await self._send([self._dialect.push(Verb.PAUSE, source)])

    async def unpause(self, source: Source) -> None:
        """Get what was queued, then go on."""
        await self._send([self._dialect.push(Verb.UNPAUSE, source)])

    async def configure(
        self, *, interval_ms: int | None = None, retention_ms: int | None = None
    ) -> None:
        """Ask for settings; the effective ones come in the next Runtime, if they changed, or in
        the CommandResponse."""
        await self._send([self._dialect.configure(interval_ms, retention_ms)])

    async def _send(self, messages: Sequence[ClientMessage]) -> None:
        for message in messages:
            await self._connection.send(message)


@asynccontextmanager
async def observing(url: str, token: str | None = None) -> AsyncIterator[Feed]:
    """One connection, greeted: its runtime is there. Raises FeedUnavailable, FeedClosed."""
    async with connected(url, token) as connection:
        feed = Feed(connection)
        await feed.greet()
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
                tell(Connected(connection.name))
                feed = Feed(connection)
                await feed.greet(tell)
                has_connected = True
                await _subscribe(feed, sources, interval_ms, tell)
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
