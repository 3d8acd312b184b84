"""A recording served as a feed, at the pace at which it was recorded or another.

Decides when each message is due, by the times that the messages carry: States and Events are
not in order of their times, so the clock of a recording is the latest time seen so far. Every
observer gets the recording from its beginning. Refuses to know WebSockets.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import trio
from google.protobuf.message import DecodeError

from ..errors import PeepsError
from .configuration import Settings
from .hub import Hub, Limits
from .modes import Source
from .outgoing import encode_runtime
from .pb import introspection_pb2 as pb
from .recording import Damage, Record, read_file

JUMP_MS = 60_000
"""No pause of a recording is longer in its replay, however long nothing was recorded or however
far a clock was set. As long as the longest interval of States."""

_SOURCES = {"state": Source.STATE, "event": Source.EVENTS, "trace": Source.TRACE}


class NoRecording(PeepsError):
    """The file holds nothing that can be served."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A file, and what has to be known of it before the first observer comes."""

    path: Path
    runtime: pb.Runtime
    settings: Settings

    def messages(
        self, on_damage: Callable[[Damage], None] | None = None
    ) -> Iterator[tuple[bytes, pb.ServerMessage]]:
        """Every message that can be read; `on_damage` is told of what cannot."""
        for item in read_file(self.path):
            if isinstance(item, Record):
                try:
                    yield item.message, pb.ServerMessage.FromString(item.message)
                    continue
                except DecodeError:
                    item = Damage(item.offset, len(item.message), "a message cannot be decoded")
            if on_damage is not None:
                on_damage(item)


def open_recording(path: Path) -> Recording:
    """Read a file as far as its first Runtime and its first State. Raises NoRecording, OSError."""
    runtime: pb.Runtime | None = None
    state: pb.State | None = None
    config = pb.Configuration()
    unknown = Recording(path, pb.Runtime(), Settings())
    for _, message in unknown.messages():
        if message.HasField("runtime"):
            runtime = runtime or message.runtime
        elif message.HasField("response"):
            config.MergeFrom(message.response.effective_config)
        elif message.HasField("state"):
            state = state or message.state
        if runtime is not None and state is not None:
            break
    if state is None:
        raise NoRecording(
            f"{path} holds no State that can be read", hint="`peeps inspect` tells what it holds"
        )
    runtime = runtime or pb.Runtime(implementation="a recording without a runtime")
    settings = _settings(runtime, config, state)
    return Recording(path, _completed(runtime, settings), settings)


class ReplayFeed:
    """A feed of one recording; each session plays it from the beginning."""

    def __init__(
        self,
        recording: Recording,
        *,
        speed: float = 1.0,
        limits: Limits | None = None,
        on_damage: Callable[[Damage], None] | None = None,
        on_end: Callable[[], None] | None = None,
    ) -> None:
        self._recording = recording
        self._speed = speed
        self._limits = limits or Limits()
        self._on_damage = on_damage
        self._on_end = on_end
        self._sessions = 0

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Hub]:
        """A hub of its own for this observer, being played to while it is there."""
        recording = self._recording
        is_full = self._sessions >= self._limits.max_observers
        limits = Limits(max_observers=0) if is_full else self._limits
        greeted = trio.Event()
        hub = Hub(
            make_runtime=lambda _settings: encode_runtime(recording.runtime),
            settings=recording.settings,
            clock=trio.current_time,
            limits=limits,
            on_greeted=greeted.set,
        )
        self._sessions += 1
        try:
            async with trio.open_nursery() as nursery:
                if not is_full:
                    await nursery.start(self._play, hub, greeted)
                yield hub
                nursery.cancel_scope.cancel()
        finally:
            self._sessions -= 1

    async def _play(
        self, hub: Hub, greeted: trio.Event, task_status: trio.TaskStatus[None]
    ) -> None:
        """Publish every message when it is due. The first State is there at once, to greet
        with; everything else keeps its distance from the first message."""
        messages = self._recording.messages(self._on_damage)
        opening = list(_up_to_first_state(messages))
        began_ms = next(filter(None, (_time_of(message) for _, message in opening)), 0)
        hub.publish(Source.STATE, opening.pop()[0])
        task_status.started()
        await greeted.wait()
        clock = _RecordingClock(self._speed, began_ms)
        for payload, message in chain(opening, messages):
            kind = message.WhichOneof("payload")
            await clock.wait_until(_time_of(message), is_state=kind == "state")
            if kind in _SOURCES:
                hub.publish(_SOURCES[kind], payload)
            elif kind == "runtime":
                self._renew(hub, message.runtime)
        if self._on_end is not None:
            self._on_end()

    def _renew(self, hub: Hub, runtime: pb.Runtime) -> None:
        payload = encode_runtime(_completed(runtime, self._recording.settings))
        if payload != hub.runtime_for(hub.settings).payload:  # the first one has been greeted with
            hub.replace_runtime(payload)


class _RecordingClock:
    """Times of a recording (ms) on ours (s). It runs from now, which is `began_ms` there; 0: the
    first time that it is given.

    A jump of the recorder's clock does not stop a replay, and does not hurry it either: forward
    costs JUMP_MS, and where a State goes back, it goes on from there.
    """

    def __init__(self, speed: float, began_ms: int) -> None:
        self._speed = speed
        self._began_at = trio.current_time()
        self._began_ms = self._latest_ms = began_ms

    async def wait_until(self, recorded_ms: int, *, is_state: bool) -> None:
        """Until that moment of the recording; at once if it is past or there is none (0)."""
        due = self._due_at(recorded_ms, is_state) if recorded_ms else 0.0
        if due > trio.current_time():
            await trio.sleep_until(due)
        else:
            await trio.lowlevel.checkpoint()

    def _due_at(self, recorded_ms: int, is_state: bool) -> float:
        if not self._began_ms:
            self._began_ms = self._latest_ms = recorded_ms
        step_ms = recorded_ms - self._latest_ms
        if step_ms > JUMP_MS:
            self._began_ms += step_ms - JUMP_MS
        elif step_ms < -JUMP_MS and is_state:
            self._began_ms += step_ms
        if step_ms > 0 or is_state:
            self._latest_ms = recorded_ms
        return self._began_at + (recorded_ms - self._began_ms) / 1000 / self._speed


def _up_to_first_state(
    messages: Iterator[tuple[bytes, pb.ServerMessage]],
) -> Iterator[tuple[bytes, pb.ServerMessage]]:
    for payload, message in messages:
        yield payload, message
        if message.HasField("state"):
            return


def _time_of(message: pb.ServerMessage) -> int:
    if message.HasField("state"):
        return message.state.instant_ts
    if message.HasField("event"):
        return message.event.ts
    return message.trace.completed_ns // 1_000_000


def _completed(runtime: pb.Runtime, settings: Settings) -> pb.Runtime:
    """Servers of the second generation leave the settings out of their Runtime."""
    runtime.send_state_interval_ms = (
        runtime.send_state_interval_ms or settings.send_state_interval_ms
    )
    runtime.retention_period_ms = runtime.retention_period_ms or settings.retention_period_ms
    return runtime


def _settings(runtime: pb.Runtime, config: pb.Configuration, state: pb.State) -> Settings:
    """What was in force: in the Runtime, in the answer to HELLO, or as a State shows."""
    usual = Settings()
    return Settings(
        send_state_interval_ms=runtime.send_state_interval_ms
        or config.state_snapshot_interval_ms
        or state.snapshot_duration_ms
        or usual.send_state_interval_ms,
        retention_period_ms=runtime.retention_period_ms
        or config.retention_period_ms
        or usual.retention_period_ms,
    )
