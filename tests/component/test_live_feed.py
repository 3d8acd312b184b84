"""The pace of States, on a clock that jumps."""

import itertools
from contextlib import AsyncExitStack
from itertools import pairwise

import pytest
import trio
import trio.testing

from peepsd.core.happenings import Bus, Happening, SnapshotRequested
from peepsd.core.registry import Registry
from peepsd.feed.configuration import Settings, Wish
from peepsd.feed.live import Identity, LiveFeed
from peepsd.feed.modes import INTROSPECT, OBSERVER, Source
from peepsd.feed.observer import Observer
from peepsd.feed.outgoing import NOTHING
from peepsd.feed.pb import introspection_pb2 as pb

START_NS = 1_700_000_000_000_000_000


def free() -> float:
    """A CPU clock on which nothing takes any time."""
    return 0.0


def make_feed(bus: Bus | None = None, interval_ms: int = 1_000) -> LiveFeed:
    def now_ns() -> int:
        return START_NS + round(trio.current_time() * 1e9)

    return LiveFeed(
        bus or Bus(),
        Registry(),
        Identity("1", "box-1"),
        settings=Settings(interval_ms, 60_000),
        now_ns=now_ns,
        cpu_clock=free,
    )


def latest(feed: LiveFeed) -> pb.State:
    made = feed.hub.latest_state
    assert made is not None
    return pb.ServerMessage.FromString(made.since(NOTHING, 1_000).payload).state


def states_in(observer: Observer) -> list[pb.State]:
    """The States that it is sent now."""
    states = []
    while message := observer.emitter.next_message(trio.current_time()):
        decoded = pb.ServerMessage.FromString(message.payload)
        if decoded.HasField("state"):
            states.append(decoded.state)
    return states


async def test_states_come_at_the_interval_and_only_while_somebody_listens(
    autojump_clock: trio.testing.MockClock,
) -> None:
    feed = make_feed()
    states: list[pb.State] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(feed.run)
        await trio.sleep(10)
        assert feed.hub.latest_state is None  # nobody listens: nothing is made
        async with feed.session() as hub:
            with hub.attached(OBSERVER, None, lambda: None) as observer:
                observer.greet()
                for _ in range(10):
                    await trio.sleep(1.0)
                    states += states_in(observer)
        made = hub.latest_state
        await trio.sleep(10)
        assert hub.latest_state is made
        nursery.cancel_scope.cancel()
    assert [b.instant_ts - a.instant_ts for a, b in pairwise(states)] == [1_000] * len(states[1:])
    assert 10 <= len(states) <= 11
    assert all(a.instant_ts == b.start_ts for a, b in pairwise(states))


async def test_each_observer_has_its_own_interval(
    autojump_clock: trio.testing.MockClock,
) -> None:
    feed = make_feed()
    wishes = {500: 500, 2_000: 2_000, 86_400_000: 60_000}
    async with trio.open_nursery() as nursery, AsyncExitStack() as stack:
        nursery.start_soon(feed.run)
        observers = {}
        for asked, granted in wishes.items():
            hub = await stack.enter_async_context(feed.session())
            observer = stack.enter_context(hub.attached(INTROSPECT, None, lambda: None))
            observer.greet()
            observer.emitter.configure(Wish(send_state_interval_ms=asked))
            observer.emitter.start(Source.STATE)
            assert len(states_in(observer)) == 1
            observers[granted] = observer
        await trio.sleep(240)
        for interval_ms, observer in observers.items():
            states = states_in(observer)
            kept_ms = min(240_000, 60_000)  # by the retention
            assert kept_ms // interval_ms <= len(states) <= kept_ms // interval_ms + 1
            for a, b in pairwise(states):
                assert (b.start_ts, b.snapshot_duration_ms) == (a.instant_ts, interval_ms)
                assert b.instant_ts - a.instant_ts == interval_ms
        nursery.cancel_scope.cancel()


async def test_r29_expensive_states_are_made_less_often_and_observers_told(
    autojump_clock: trio.testing.MockClock,
) -> None:
    spent_s = itertools.count(0.0, 0.38).__next__  # seconds of CPU, whenever somebody looks
    feed = LiveFeed(Bus(), Registry(), Identity("1", "box-1"), cpu_clock=spent_s)
    async with trio.open_nursery() as nursery, feed.session() as hub:
        nursery.start_soon(feed.run)
        with hub.attached(OBSERVER, None, lambda: None) as observer:
            observer.greet()
            await trio.sleep(60)
            assert observer.emitter.settings.send_state_interval_ms == 4_000
            assert 60 / 4 <= hub.statistics()["published_messages"] <= 60 / 4 + 4
            runtimes = []
            while message := observer.emitter.next_message(trio.current_time()):
                decoded = pb.ServerMessage.FromString(message.payload)
                if decoded.HasField("runtime"):
                    runtimes.append(decoded.runtime.send_state_interval_ms)
            assert runtimes == [4_000]
        nursery.cancel_scope.cancel()


async def test_a_newcomer_is_no_reason_to_push_to_others(
    autojump_clock: trio.testing.MockClock,
) -> None:
    feed = make_feed()
    async with trio.open_nursery() as nursery, feed.session() as hub:
        nursery.start_soon(feed.run)
        with hub.attached(INTROSPECT, None, lambda: None) as patient:
            patient.emitter.configure(Wish(send_state_interval_ms=60_000))
            patient.emitter.start(Source.STATE)
            assert len(states_in(patient)) == 1
            await trio.sleep(5)
            async with feed.session():
                with hub.attached(INTROSPECT, None, lambda: None) as other:
                    other.greet()
                    [state] = states_in(other)
                    assert state.instant_ts == START_NS // 1_000_000 + 5_000  # a current one
                    await trio.sleep(5)
            assert states_in(patient) == []
        nursery.cancel_scope.cancel()


async def test_r24_states_follow_a_clock_that_is_set_back(
    autojump_clock: trio.testing.MockClock,
) -> None:
    set_by_s = 0.0
    feed = LiveFeed(
        Bus(),
        Registry(),
        Identity("1", "box-1"),
        now_ns=lambda: START_NS + round((trio.current_time() + set_by_s) * 1e9),
        cpu_clock=free,
    )
    async with trio.open_nursery() as nursery, feed.session() as hub:
        nursery.start_soon(feed.run)
        with hub.attached(INTROSPECT, None, lambda: None) as observer:
            observer.emitter.start(Source.STATE)
            await trio.sleep(5.1)
            set_by_s = -7_200.0
            await trio.sleep(5)
            states = states_in(observer)
        nursery.cancel_scope.cancel()
    steps = [b.instant_ts - a.instant_ts for a, b in pairwise(states)]
    assert steps.count(1_000) == len(steps) - 1
    assert min(steps) == 1_000 - 7_200_000
    assert all(state.instant_ts - state.start_ts == 1_000 for state in states)


async def test_a_new_interval_counts_from_the_last_state(
    autojump_clock: trio.testing.MockClock,
) -> None:
    feed = make_feed(interval_ms=60_000)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(feed.run)
        async with feed.session() as hub:
            with hub.attached(INTROSPECT, None, lambda: None) as observer:
                await trio.sleep(2)
                before = hub.latest_state
                observer.emitter.configure(Wish(send_state_interval_ms=5_000))
                await trio.sleep(2.9)
                assert hub.latest_state is before
                await trio.sleep(0.2)
                assert hub.latest_state is not before
        nursery.cancel_scope.cancel()


async def test_bandwidths_are_right_when_the_clock_is_set(
    autojump_clock: trio.testing.MockClock,
) -> None:
    registry, set_by_s = Registry(), [0.0]
    feed = LiveFeed(
        Bus(),
        registry,
        Identity("1", "box-1"),
        now_ns=lambda: START_NS + round((trio.current_time() + set_by_s[0]) * 1e9),
    )
    peer = registry.new_peer(
        local_address="", remote_address="", now_ns=START_NS, ask=lambda _request: True
    )
    registry.admit(peer)
    rates = []
    for set_by_s[0] in (0.0, -3_600.0, -3_600.0, 3_600.0):
        await trio.sleep(2)
        peer.bytes_in += 1_000
        feed.make_state()
        state = latest(feed)
        rates.append(state.subsystems.connections[0].traffic.traffic_in.inst_bw)
        assert state.traffic.traffic_in.inst_bw == rates[-1]
    assert rates[1:] == [500, 500, 500]


async def test_nothing_is_encoded_for_nobody_and_a_failure_stays_here() -> None:
    bus = Bus()
    feed = make_feed(bus)
    heard: list[Happening] = []
    bus.subscribe(heard.append)
    bus.publish(SnapshotRequested(1, 1, 1, 1))
    assert feed.statistics()["published_messages"] == 0
    with feed.hub.attached(INTROSPECT, None, lambda: None) as observer:
        observer.emitter.start(Source.EVENTS)
        bus.publish(SnapshotRequested("not a time", 1, 1, 1))  # type: ignore[arg-type]
        bus.publish(SnapshotRequested(1, 1, 1, 1))
    assert len(heard) == 3  # the bus and its other subscribers did not notice
    assert feed.statistics()["published_messages"] == 1


async def test_a_state_that_cannot_be_made_ends_nothing(
    autojump_clock: trio.testing.MockClock, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = Registry()
    feed = LiveFeed(Bus(), registry, Identity("1", "box-1"), cpu_clock=free)
    async with trio.open_nursery() as nursery, feed.session() as hub:
        nursery.start_soon(feed.run)
        with hub.attached(OBSERVER, None, lambda: None) as observer:
            observer.greet()
            peer = registry.new_peer(
                local_address="", remote_address="", now_ns=-(10**18), ask=lambda _request: True
            )
            registry.admit(peer)
            await trio.sleep(2.5)
            before = hub.latest_state
            registry.disconnect(peer.connection_id)
            await trio.sleep(3)
            assert hub.latest_state is not before
        nursery.cancel_scope.cancel()
    assert "a State could not be made" in capsys.readouterr().out
