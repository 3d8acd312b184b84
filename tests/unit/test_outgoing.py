"""A State that is made once and told to each observer with what it spans for it."""

import tracemalloc

import pytest

from peepsd.feed.configuration import Wish
from peepsd.feed.framing import prefixed, unframe, varint
from peepsd.feed.modes import Source
from peepsd.feed.outgoing import NOTHING, VERSION, LiveState, Outgoing, Told
from peepsd.feed.pb import introspection_pb2 as pb

from ..support.recordings import a_state
from .test_emitter import FakeServer


def without_span(state: pb.State) -> pb.State:
    state.ClearField("start_ts")
    state.ClearField("snapshot_duration_ms")
    return state


@pytest.mark.parametrize("peers", [0, 1, 3, 40, 400])
@pytest.mark.parametrize("interval_ms", [50, 1_000, 60_000])
def test_it_is_what_protobuf_would_write(peers: int, interval_ms: int) -> None:
    whole = a_state(5, peers)
    previous = Told(1, whole.instant_ts - 40, interval_ms)
    told = LiveState(without_span(a_state(5, peers)), 2).since(previous, interval_ms)
    whole.start_ts, whole.snapshot_duration_ms = previous.instant_ms, interval_ms
    message = pb.ServerMessage(version=VERSION, state=whole).SerializeToString()
    assert told.payload == message
    assert told.size == len(message)
    assert b"\x01\0\0\0" + told.record == prefixed([message])
    assert unframe(b"\x01\0\0\0" + told.record) == [message]
    assert told.told == Told(2, whole.instant_ts, interval_ms)


def test_observers_alike_share_a_message() -> None:
    live = LiveState(without_span(a_state(5)), 2)
    assert live.since(NOTHING, 1_000) is live.since(NOTHING, 1_000)
    assert live.since(NOTHING, 1_000) is not live.since(NOTHING, 2_000)


def test_backlogs_of_different_intervals_share_what_a_state_tells() -> None:
    server = FakeServer()
    observers = [server.observer(max_backlog_bytes=1 << 30) for _ in range(100)]
    for n, emitter in enumerate(observers):
        emitter.configure(Wish(send_state_interval_ms=1_000 + n))
        emitter.start(Source.STATE)
        emitter.pause(Source.STATE)
    state = without_span(a_state(1, peers=2_000))
    size = state.ByteSize()
    tracemalloc.start()
    try:
        live = LiveState(state, 1)
        for emitter in observers:
            emitter.offer_state(live)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert all(emitter.backlog.bytes > size for emitter in observers)
    assert held < 3 * size


def test_a_recorded_state_is_told_as_it_is() -> None:
    recorded = Outgoing(b"state", Source.STATE, 7)
    assert recorded.since(Told(6, 1, 1), 500) is recorded


@pytest.mark.parametrize("number", [0, 1, 127, 128, 300, 16_383, 16_384, 2**31])
def test_lengths_are_written_as_protobuf_does(number: int) -> None:
    encoded = pb.Version(version=number).SerializeToString()
    assert b"\x08" + varint(number) == (encoded or b"\x08\0")
