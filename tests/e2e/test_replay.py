"""A recording served over both paths."""

from itertools import pairwise
from pathlib import Path

import pytest
import trio

from peepsd.feed.hub import Limits
from peepsd.feed.pb import introspection_pb2 as pb
from peepsd.feed.recording import Damage, RecordingWriter
from peepsd.feed.replay import NoRecording, ReplayFeed, open_recording

from ..support.feed_server import serving
from ..support.observer_client import observer
from ..support.recordings import INTERVAL_MS, T0, a_state, an_event, write_recording
from ..unit.test_recording import SAMPLE, needs_sample

Signal = pb.ClientSignal


async def test_observer_gets_everything_in_order_from_the_beginning(tmp_path: Path) -> None:
    written = write_recording(tmp_path / "r.mock", states=6)
    feed = ReplayFeed(open_recording(tmp_path / "r.mock"), speed=2.0)
    async with serving(feed) as port:
        for _ in range(2):  # each observer from the beginning
            async with observer(port, "/observer?protocol=signal") as client:
                got = [await client.message() for _ in range(len(written))]
                assert [m for m in got if m.HasField("runtime")] == [written[0]]
                for kind in ("state", "event"):
                    assert [m for m in got if m.HasField(kind)] == [
                        m for m in written if m.HasField(kind)
                    ]
                assert await client.drain() == []


async def test_introspect_pulls_each_state_once(tmp_path: Path) -> None:
    write_recording(tmp_path / "r.mock", states=4)
    feed = ReplayFeed(open_recording(tmp_path / "r.mock"), speed=4.0)
    async with serving(feed) as port, observer(port) as client:
        assert await client.kinds(2) == ["runtime", "state"]
        for n in range(1, 4):
            await client.signal(Signal.SEND_DATA)
            assert (await client.message()).state.instant_ts == T0 + n * INTERVAL_MS
        await client.signal(Signal.SEND_DATA)
        assert await client.drain() == []  # there is no next one


async def test_commands_are_told_the_settings_of_the_recording(tmp_path: Path) -> None:
    write_recording(tmp_path / "r.mock", signal=False)
    async with serving(ReplayFeed(open_recording(tmp_path / "r.mock"))) as port:
        async with observer(port, "/observer") as client:
            await client.send(bytes.fromhex("0a0010012a0708c0a90710d00f"))
            config = (await client.message()).response.effective_config
            assert config.retention_period_ms == 30_000  # a recording cannot be changed
            assert config.state_snapshot_interval_ms == INTERVAL_MS
        async with observer(port) as client:
            runtime = (await client.message()).runtime
            assert runtime.retention_period_ms == 30_000
            await client.signal(Signal.CONFIG_EMITTER, content='{"sendStateIntervalMs": 900}')
            assert (await client.next("runtime")).runtime.send_state_interval_ms == INTERVAL_MS


@pytest.mark.parametrize("speed", [1.0, 4.0])
async def test_the_pace_is_that_of_the_recording(
    speed: float, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    from peepsd.feed.modes import OBSERVER

    write_recording(tmp_path / "r.mock", states=5)
    feed = ReplayFeed(open_recording(tmp_path / "r.mock"), speed=speed)
    times = []
    async with feed.session() as hub:
        with hub.attached(OBSERVER, None, lambda: None) as observer:
            observer.greet()
            began = trio.current_time()
            while len(times) < 5:
                await trio.sleep(0.001)
                while message := observer.emitter.next_message(trio.current_time()):
                    if pb.ServerMessage.FromString(message.payload).HasField("state"):
                        times.append(trio.current_time() - began)
    # The first is there at once. Time runs from the first event, 50 ms before the first State;
    # the last event is 40 ms later than the State after it, and time never runs back.
    assert times[0] < 0.01
    expected_ms = 50 + 4 * INTERVAL_MS + 40
    assert times[-1] == pytest.approx(expected_ms / 1000 / speed, abs=0.01)


async def test_jumps_of_the_recorders_clock_neither_stop_nor_hurry_a_replay(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    from peepsd.feed.modes import OBSERVER

    hour_ms = 3_600_000
    states = [a_state(n) for n in range(8)]
    for state in states[5:]:
        state.instant_ts -= hour_ms  # the clock is set back
    items: list[pb.State | pb.Event] = list(states)
    items.insert(3, an_event(0, 2**63))
    with (tmp_path / "r.mock").open("wb") as file:
        writer = RecordingWriter(file)
        for item in items:
            sort = "state" if isinstance(item, pb.State) else "event"
            writer.write(pb.ServerMessage(**{sort: item}).SerializeToString())  # type: ignore[arg-type]
    times = []
    async with ReplayFeed(open_recording(tmp_path / "r.mock")).session() as hub:
        with hub.attached(OBSERVER, None, lambda: None) as observer:
            observer.greet()
            with trio.fail_after(200):
                while len(times) < len(states):
                    await trio.sleep(0.01)
                    while message := observer.emitter.next_message(trio.current_time()):
                        if pb.ServerMessage.FromString(message.payload).HasField("state"):
                            times.append(trio.current_time())
    waits = [b - a for a, b in pairwise(times)]
    # Past the event of the far future the replay goes on; then at its own pace.
    assert waits == pytest.approx([0.1, 0.1, 60.0, 0.1, 0.0, 0.1, 0.1], abs=0.03)


async def test_damage_is_told_and_the_rest_is_played(tmp_path: Path) -> None:
    path = tmp_path / "r.mock"
    written = write_recording(path, states=6)
    data = bytearray(path.read_bytes())
    data[-40] ^= 0xFF  # in the last State
    path.write_bytes(data)
    damage: list[Damage] = []
    feed = ReplayFeed(open_recording(path), speed=10.0, on_damage=damage.append)
    async with serving(feed) as port, observer(port, "/observer?protocol=signal") as client:
        got = [await client.message() for _ in range(len(written) - 1)]
        assert [m.state.instant_ts for m in got if m.HasField("state")][-1] == T0 + 4 * INTERVAL_MS
        assert await client.drain() == []
    assert len(damage) == 1


async def test_too_many_observers_are_asked_to_come_later(tmp_path: Path) -> None:
    write_recording(tmp_path / "r.mock")
    feed = ReplayFeed(open_recording(tmp_path / "r.mock"), limits=Limits(max_observers=1))
    async with serving(feed) as port, observer(port) as one:
        await one.kinds(2)
        async with observer(port) as two:
            assert (await two.closed()).code == 1013


def test_a_file_without_a_state_is_no_recording(tmp_path: Path) -> None:
    path = tmp_path / "r.mock"
    write_recording(path, states=0)
    with pytest.raises(NoRecording):
        open_recording(path)


@needs_sample
async def test_the_sample_recording_is_played_whole() -> None:
    feed = ReplayFeed(open_recording(SAMPLE), speed=60.0)
    async with serving(feed) as port, observer(port, "/observer?protocol=signal") as client:
        states, events = 0, 0
        while states < 30 or events < 937:
            kind = (await client.message()).WhichOneof("payload")
            states += kind == "state"
            events += kind == "event"
        assert (states, events) == (30, 937)
        assert await client.drain() == []
