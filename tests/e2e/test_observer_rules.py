"""The rules of the observer protocol, one test each, over real WebSockets.

R25 is in tests/unit/test_timing.py, R30 in tests/unit/test_history.py and R33 in
tests/unit/test_recording.py: they are rules for those who read. R32 is superseded by R18.
"""

import json
from itertools import pairwise
from typing import Any, cast

import pytest
import trio

from peepsd.core import happenings as h
from peepsd.feed.configuration import Settings
from peepsd.feed.framing import prefixed
from peepsd.feed.modes import Source
from peepsd.feed.pb import introspection_pb2 as pb

from ..support.feed_server import FeedServer, live_feed
from ..support.observer_client import ObserverClient, Rejected, observer

Signal = pb.ClientSignal
FAST = Settings(send_state_interval_ms=50, retention_period_ms=60_000)
SLOW = Settings(send_state_interval_ms=60_000, retention_period_ms=60_000)
QUIET_S = 0.4


async def greeting(client: ObserverClient) -> tuple[pb.Runtime, pb.State]:
    first, second = await client.message(), await client.message()
    assert first.HasField("runtime")
    assert second.HasField("state")
    return first.runtime, second.state


async def settled(client: ObserverClient) -> None:
    """Until the server has acted on everything sent so far."""
    await client.signal(Signal.SEND_DATA, Signal.RUNTIME)
    await client.next("runtime")


def an_event(n: int) -> h.SnapshotRequested:
    return h.SnapshotRequested(1_700_000_000_000_000_000, n, 0, 5_000)


def ids(messages: list[pb.ServerMessage]) -> list[int]:
    return [json.loads(m.event.content)["snapshot_id"] for m in messages if m.HasField("event")]


async def test_r01_every_message_is_protobuf_in_a_binary_frame() -> None:
    async with live_feed(FAST) as server, observer(server.port) as client:
        for _ in range(2):
            frame = await client.frame()
            assert isinstance(frame, bytes)
            message = pb.ServerMessage.FromString(frame)
            assert message.SerializeToString() == frame


async def test_r02_introspect_needs_no_checksum_and_observer_has_one() -> None:
    async with live_feed(SLOW) as server:
        async with observer(server.port, "/introspect") as client:
            frame = cast(bytes, await client.frame())
            assert frame.startswith(b"\x0a\x02\x08\x01\x1a")  # version 1, a runtime
        async with observer(server.port, "/observer?protocol=signal") as client:
            framed = cast(bytes, await client.frame())
            assert framed.startswith(prefixed([frame]))


async def test_r03_on_connect_one_runtime_and_one_current_state() -> None:
    async with live_feed(FAST) as server:
        server.connect("svc", 10)
        async with observer(server.port) as client:
            _, state = await greeting(client)
            assert [c.peer_id for c in state.subsystems.connections] == ["svc-10"]
            assert await client.drain(QUIET_S) == []


async def test_r04_r05_a_ready_signal_gets_the_next_snapshot() -> None:
    async with live_feed(FAST) as server, observer(server.port) as client:
        _, previous = await greeting(client)
        for _ in range(4):
            await client.signal(Signal.SEND_DATA, Signal.STATE)
            state = (await client.message()).state
            assert state.instant_ts > previous.instant_ts
            previous = state


async def test_r06_no_snapshot_is_sent_twice_however_many_signals_arrive() -> None:
    async with live_feed(SLOW) as server, observer(server.port) as client:
        await greeting(client)
        for _ in range(20):
            await client.signal(Signal.SEND_DATA, Signal.STATE)
        await settled(client)
        assert await client.drain(QUIET_S) == []
        server.feed.make_state()  # the next one exists: one signal was remembered
        assert (await client.message()).HasField("state")
        server.feed.make_state()
        assert await client.drain(QUIET_S) == []


async def test_r07_no_snapshot_without_a_ready_signal() -> None:
    async with live_feed(FAST) as server, observer(server.port) as client:
        await greeting(client)
        await client.signal(Signal.SEND_DATA, Signal.STATE)
        await client.next("state")
        assert await client.drain(QUIET_S) == []


async def test_r08_nothing_flows_before_interest_is_expressed() -> None:
    async with live_feed(FAST) as server, observer(server.port) as client:
        await greeting(client)
        server.connect()
        server.publish(h.SnapshotCompleted(1, 1, 1.0, 0, 0, 0, 0))
        assert await client.drain(QUIET_S) == []


async def test_r09_send_data_runtime_sends_the_metadata_again() -> None:
    async with live_feed(FAST) as server, observer(server.port) as client:
        runtime, _ = await greeting(client)
        for _ in range(3):
            await client.signal(Signal.SEND_DATA, Signal.RUNTIME)
            assert (await client.message()).runtime == runtime


@pytest.mark.parametrize(
    ("source", "kind"),
    [(Source.STATE, "state"), (Source.EVENTS, "event"), (Source.TRACE, "trace")],
)
async def test_r10_start_begins_pushes_and_stop_ends_them(source: Source, kind: str) -> None:
    async with live_feed(FAST) as server, observer(server.port) as client:
        await greeting(client)
        await client.signal(Signal.START_PUSH_EMITTER, source)
        await server.pushing(source)
        for _ in range(3):
            server.publish(h.SnapshotCompleted(1, 1, 1.0, 0, 0, 0, 0))
            assert (await client.message()).WhichOneof("payload") == kind
        await client.signal(Signal.STOP_PUSH_EMITTER, source)
        await settled(client)
        server.publish(h.SnapshotCompleted(1, 2, 1.0, 0, 0, 0, 0))
        assert await client.drain(QUIET_S) == []


async def pushing_events(server: FeedServer, client: ObserverClient) -> None:
    await greeting(client)
    await client.signal(Signal.START_PUSH_EMITTER, Signal.EVENTS)
    await server.pushing(Source.EVENTS)


async def test_r11_pause_halts_pushes_and_unpause_resumes_them() -> None:
    async with live_feed(SLOW) as server, observer(server.port) as client:
        await pushing_events(server, client)
        await client.signal(Signal.PAUSE_PUSH_EMITTER, Signal.EVENTS)
        await settled(client)
        server.publish(an_event(1))
        assert await client.drain(QUIET_S) == []
        await client.signal(Signal.UNPAUSE_PUSH_EMITTER, Signal.EVENTS)
        assert ids([await client.message()]) == [1]
        server.publish(an_event(2))
        assert ids([await client.message()]) == [2]


async def test_r12_without_an_emitter_pause_unpause_and_stop_change_nothing() -> None:
    async with live_feed(SLOW) as server, observer(server.port) as client:
        await greeting(client)
        for signal in (
            Signal.PAUSE_PUSH_EMITTER,
            Signal.UNPAUSE_PUSH_EMITTER,
            Signal.STOP_PUSH_EMITTER,
            Signal.PAUSE_PUSH_EMITTER,
        ):
            await client.signal(signal, Signal.EVENTS)
        await settled(client)
        server.publish(an_event(1))
        assert await client.drain(QUIET_S) == []
        await client.signal(Signal.START_PUSH_EMITTER, Signal.EVENTS)
        await server.pushing(Source.EVENTS)
        server.publish(an_event(2))
        assert ids([await client.message()]) == [2]


async def test_r13_a_pause_while_paused_has_no_effect() -> None:
    async with live_feed(SLOW) as server, observer(server.port) as client:
        await pushing_events(server, client)
        for _ in range(3):
            await client.signal(Signal.PAUSE_PUSH_EMITTER, Signal.EVENTS)
        await settled(client)
        server.publish(an_event(1))
        await client.signal(Signal.UNPAUSE_PUSH_EMITTER, Signal.EVENTS)
        assert ids([await client.message()]) == [1]


async def test_r14_an_unpause_while_sending_has_no_effect() -> None:
    async with live_feed(SLOW) as server, observer(server.port) as client:
        await pushing_events(server, client)
        server.publish(an_event(1))
        for _ in range(3):
            await client.signal(Signal.UNPAUSE_PUSH_EMITTER, Signal.EVENTS)
        await settled(client)
        server.publish(an_event(2))
        assert ids(await client.drain(QUIET_S)) == [2]  # 1 was read while settling


async def test_r15_what_is_pushed_during_a_pause_is_queued_and_flushed_in_order() -> None:
    async with live_feed(SLOW) as server, observer(server.port, "/observer") as client:
        await client.send(bytes.fromhex("0a00100122027b7d"))  # pause, as deployed tools send it
        await settled(client)
        for n in range(50):
            server.publish(an_event(n))
        await settled(client)
        await client.send(bytes.fromhex("0a00100222027b7d"))
        assert ids([await client.next("event") for _ in range(50)]) == list(range(50))
        server.publish(an_event(50))
        assert ids([await client.next("event")]) == [50]


async def test_r16_the_queue_of_a_pause_is_bounded_by_the_retention_period() -> None:
    settings = Settings(send_state_interval_ms=60_000, retention_period_ms=1_500)
    async with live_feed(settings) as server, observer(server.port) as client:
        await pushing_events(server, client)
        await client.signal(Signal.PAUSE_PUSH_EMITTER, Signal.EVENTS)
        await settled(client)
        server.publish(an_event(1))
        server.publish(an_event(2))
        await trio.sleep(2.0)  # longer than the retention: it is time itself that is tested
        server.publish(an_event(3))
        await client.signal(Signal.UNPAUSE_PUSH_EMITTER, Signal.EVENTS)
        notice = (await client.message()).notice
        assert notice.kind == pb.ServerNotice.DISCARDING_EVENTS
        assert notice.discarded_events == 2
        assert ids([await client.message()]) == [3]
        assert server.feed.statistics()["discarded_messages"] == 2


async def test_r17_r31_every_message_is_a_version_and_one_payload() -> None:
    async with live_feed(FAST) as server, observer(server.port, "/observer") as client:
        server.connect()
        seen = set()
        while seen < {"runtime", "state", "event"}:
            message = await client.message()
            assert message.version.version == 1
            seen.add(message.WhichOneof("payload"))
            server.publish(an_event(1))
        assert None not in seen


async def test_r18_a_signal_is_version_signal_source_and_content() -> None:
    frames = ["0a020801", "0a00", "", "0a020807", "0a020801 1801"]
    async with live_feed(FAST) as server:
        for frame in frames:  # whatever version is sent is accepted
            async with observer(server.port, "/introspect?protocol=signal") as client:
                await greeting(client)
                await client.send(bytes.fromhex(frame))
                expected = "runtime" if "1801" in frame else "state"
                assert (await client.message()).WhichOneof("payload") == expected


async def test_r19_the_runtime_tells_who_and_how() -> None:
    async with live_feed(FAST) as server, observer(server.port) as client:
        runtime, _ = await greeting(client)
        assert runtime.implementation == "peeps-python"
        assert runtime.version == "1.2.3"
        assert runtime.platform == "TestOS"
        assert runtime.peer_id == "testhost-99"
        assert runtime.retention_period_ms == 60_000
        assert runtime.send_state_interval_ms == 50
        assert len(runtime.event_types) == 9
        assert all(t.name and t.property_types for t in runtime.event_types)


async def test_r20_a_new_event_type_extends_the_runtime_which_is_sent_first() -> None:
    import dataclasses

    @dataclasses.dataclass
    class CoffeeSpilled:
        at_ns: int
        cups: int

    async with live_feed(SLOW) as server, observer(server.port) as client:
        await pushing_events(server, client)
        spilled: Any = CoffeeSpilled(1_700_000_000_000_000_000, 2)
        server.publish(spilled)
        runtime = (await client.message()).runtime
        assert runtime.event_types[-1].name == "CoffeeSpilled"
        event = (await client.message()).event
        assert event.type.name == "CoffeeSpilled"
        server.publish(spilled)
        assert (await client.message()).HasField("event")  # the Runtime came once


async def test_r21_states_are_pushed_every_interval() -> None:
    settings = Settings(send_state_interval_ms=200, retention_period_ms=60_000)
    async with live_feed(settings) as server, observer(server.port) as client:
        await greeting(client)
        await client.signal(Signal.START_PUSH_EMITTER, Signal.STATE)
        instants = [(await client.next("state")).state.instant_ts for _ in range(6)]
        # A busy machine may be late, never early; test_live_feed.py tests the pace itself.
        assert min(b - a for a, b in pairwise(instants[1:])) >= 100


async def test_r22_r23_a_state_has_its_parts_and_its_interval() -> None:
    async with live_feed(FAST) as server:
        peer = server.connect()
        peer.bytes_in, peer.frames_in = 1_000, 2
        async with observer(server.port) as client:
            _, state = await greeting(client)
            assert len(state.subsystems.connections) == 1
            assert state.traffic.traffic_in.cum_bytes == 1_000
            assert state.traffic.traffic_in.cum_packets == 2
            assert state.instant_ts > state.start_ts > 0
            assert state.snapshot_duration_ms == 50
            await client.signal(Signal.CONFIG_EMITTER, content='{"sendStateIntervalMs": 500}')
            await client.next("runtime")
            for _ in range(2):  # the first may have been made before
                await client.signal(Signal.SEND_DATA)
                state = (await client.message()).state
            assert state.snapshot_duration_ms == 500


async def test_r24_states_follow_each_other_and_a_gap_shows() -> None:
    async with live_feed(FAST) as server:
        async with observer(server.port) as client:
            await greeting(client)
            await client.signal(Signal.START_PUSH_EMITTER, Signal.STATE)
            states = [(await client.next("state")).state for _ in range(5)]
        for previous, state in pairwise(states):
            assert state.start_ts >= previous.instant_ts
        await trio.sleep(0.5)  # nobody listens
        async with observer(server.port) as client:
            _, state = await greeting(client)
            assert state.start_ts > states[-1].instant_ts + 100
            assert state.instant_ts - state.start_ts == 50


async def test_r26_an_event_is_pushed_at_once() -> None:
    async with live_feed(SLOW) as server, observer(server.port) as client:
        await pushing_events(server, client)
        for n in range(5):  # no timer would bring them: the interval is a minute
            server.publish(an_event(n))
            assert ids([await client.message()]) == [n]


async def test_r27_events_are_of_announced_types_and_match_them() -> None:
    from ..unit.test_events import EXAMPLES, matches_type

    async with live_feed(SLOW) as server, observer(server.port) as client:
        runtime, _ = await greeting(client)
        await client.signal(Signal.START_PUSH_EMITTER, Signal.EVENTS)
        await server.pushing(Source.EVENTS)
        announced = {t.name: t for t in runtime.event_types}
        for happening in EXAMPLES:
            server.publish(happening)
            event = (await client.message()).event
            assert event.type == announced[event.type.name]
            assert matches_type(event)
            assert event.ts == 1_700_000_000_123


async def test_r28_config_is_answered_by_the_effective_values() -> None:
    async with live_feed(SLOW) as server, observer(server.port) as client:
        await greeting(client)
        for content, interval, retention in [
            ('{"send_state_interval_ms": 700, "retention_period_ms": 5000}', 700, 5_000),
            ('{"sendStateIntervalMs": 0}', 500, 5_000),
            ('{"keepStaleDataMs": 1e300}', 500, 600_000),
        ]:
            await client.signal(Signal.CONFIG_EMITTER, content=content)
            runtime = (await client.message()).runtime
            assert runtime.send_state_interval_ms == interval
            assert runtime.retention_period_ms == retention
        await client.signal(Signal.CONFIG_EMITTER, content='{"sendStateIntervalMs": 500}')
        assert await client.drain(QUIET_S) == []  # nothing changed
        await client.signal(Signal.CONFIG_EMITTER, content="fast, please")
        assert "not JSON" in (await client.message()).notice.detail


async def test_r28_the_settings_of_one_observer_are_its_own() -> None:
    async with (
        live_feed(SLOW) as server,
        observer(server.port) as one,
        observer(server.port) as other,
    ):
        await greeting(one)
        await pushing_events(server, other)
        await one.signal(Signal.CONFIG_EMITTER, content='{"sendStateIntervalMs": 700}')
        assert (await one.message()).runtime.send_state_interval_ms == 700
        event = (await other.message()).event  # it is told, and its own stay
        assert event.type.name == "ConfigChanged"
        assert json.loads(event.content)["settings"]["send_state_interval_ms"] == 700
        await other.signal(Signal.SEND_DATA, Signal.RUNTIME)
        runtime = (await other.message()).runtime
        assert runtime.send_state_interval_ms == SLOW.send_state_interval_ms


async def test_r29_what_the_server_changes_is_announced_to_whom_it_concerns() -> None:
    async with (
        live_feed(FAST) as server,
        observer(server.port) as often,
        observer(server.port) as seldom,
    ):
        for client in (often, seldom):
            await greeting(client)
        await seldom.signal(Signal.CONFIG_EMITTER, content='{"sendStateIntervalMs": 60000}')
        await seldom.next("runtime")
        server.feed.hub.mandate(2_000)  # as it does when States become expensive
        runtime = (await often.next("runtime")).runtime
        assert runtime.send_state_interval_ms == 2_000
        await seldom.signal(Signal.SEND_DATA, Signal.RUNTIME)
        [message] = await seldom.drain(QUIET_S)
        assert message.runtime.send_state_interval_ms == 60_000


async def test_r34_the_address_is_the_callers_to_choose() -> None:
    async with live_feed(FAST) as server:
        for name in ("localhost", "127.0.0.1"):
            async with observer(server.port, name=name) as client:
                await greeting(client)
        with pytest.raises(Rejected) as refused:  # but a stranger's name is refused
            async with observer(server.port, name="observed.example"):
                pass
        assert refused.value.status == 421
