"""Snapshots over memory streams under trio's autojump clock: deadlines without waiting."""

import time
from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from peeps.wire.messages import SnapshotRequest
from peepsd.core.crowding import MOMENT_NS, Crowd
from peepsd.core.gather import Status
from peepsd.core.happenings import ProcessTimedOut, SnapshotCompleted
from peepsd.core.summary import SnapshotSummary
from peepsd.errors import NobodyConnected, StoreError

from ..support.memory_daemon import MemoryDaemon, MemoryPeer
from ..support.peers import frame, graph


@pytest.fixture
def daemon(nursery: trio.Nursery) -> MemoryDaemon:
    return MemoryDaemon(nursery)


async def connected(daemon: MemoryDaemon, *names: str) -> list[MemoryPeer]:
    """Peers of the seed protocol (no hello), with connection ids 1, 2, ..."""
    peers = []
    for pid, name in enumerate(names, 1):
        peers.append(daemon.connect(name, pid))
        await trio.testing.wait_all_tasks_blocked()
    return peers


async def take(daemon: MemoryDaemon, timeout_ms: int, *acts: Callable[[], Any]) -> Any:
    """Take a snapshot while each act runs; (summary, seconds it took)."""
    began, result = trio.current_time(), []

    async def run() -> None:
        result.append(await daemon.rounds.take(timeout_ms))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        for act in acts:
            nursery.start_soon(act)
    return result[0], trio.current_time() - began


def answering(peer: MemoryPeer, after_s: float = 0.0, **extra: Any) -> Callable[[], Any]:
    async def act() -> None:
        request = await peer.request()
        await trio.sleep(after_s)
        await peer.reply(request["snapshot_id"], graph(peer.process), **extra)

    return act


def ends(summary: SnapshotSummary) -> dict[str, Status]:
    return {p.process: p.status for p in summary.processes}


async def test_nobody_connected(daemon: MemoryDaemon, autojump_clock: MockClock) -> None:
    with pytest.raises(NobodyConnected):
        await daemon.rounds.take(5000)


async def test_over_as_soon_as_all_have_answered(
    daemon: MemoryDaemon, autojump_clock: MockClock
) -> None:
    a, b = await connected(daemon, "a", "b")
    summary, took = await take(daemon, 5000, answering(a), answering(b, 1.5))
    assert ends(summary) == {"a": Status.RESPONDED, "b": Status.RESPONDED}
    assert took == pytest.approx(1.5)


async def test_timeout_plus_grace_and_no_longer(
    daemon: MemoryDaemon, autojump_clock: MockClock
) -> None:
    a, b = await connected(daemon, "a", "b")
    await b.hello()
    await trio.testing.wait_all_tasks_blocked()
    summary, took = await take(daemon, 5000, answering(a))
    assert ends(summary) == {"a": Status.RESPONDED, "b": Status.TIMEOUT}
    assert took == pytest.approx(5.5)
    assert any(isinstance(h, ProcessTimedOut) for h in daemon.happenings)


async def test_a_reply_within_the_grace_counts(
    daemon: MemoryDaemon, autojump_clock: MockClock
) -> None:
    (a,) = await connected(daemon, "a")
    summary, took = await take(daemon, 5000, answering(a, 5.4))
    assert ends(summary) == {"a": Status.RESPONDED}
    assert took == pytest.approx(5.4)


async def test_a_disconnect_ends_its_wait_at_once(
    daemon: MemoryDaemon, autojump_clock: MockClock
) -> None:
    a, b = await connected(daemon, "a", "b")
    await b.hello()
    await trio.testing.wait_all_tasks_blocked()

    async def hang_up() -> None:
        await b.request()
        await trio.sleep(0.25)
        await b.stream.aclose()

    summary, took = await take(daemon, 60_000, answering(a), hang_up)
    assert ends(summary) == {"a": Status.RESPONDED, "b": Status.DISCONNECTED}
    assert took == pytest.approx(0.25)


async def test_a_full_queue_fails_that_process_at_once(
    daemon: MemoryDaemon, autojump_clock: MockClock
) -> None:
    a, b = await connected(daemon, "a", "b")
    peer_b = next(p for p in daemon.registry.peers() if p.connection_id == 2)
    peer_b.ask = lambda request: False
    summary, took = await take(daemon, 5000, answering(a))
    assert [p.status for p in summary.processes] == [Status.RESPONDED, Status.ERROR]
    assert "stopped reading" in str(summary.processes[1].error_text)
    assert took == 0
    assert b.pid == 2


async def test_several_snapshots_in_flight_are_told_apart(
    daemon: MemoryDaemon, autojump_clock: MockClock
) -> None:
    (a,) = await connected(daemon, "a")
    summaries: list[SnapshotSummary] = []

    async def run() -> None:
        summaries.append(await daemon.rounds.take(5000))

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(run)
        requests = [await a.request() for _ in range(3)]
        for request in reversed(requests):
            await a.reply(request["snapshot_id"], graph("a"))
    assert sorted(s.snapshot_id for s in summaries) == [1, 2, 3]
    assert all(ends(s) == {"a": Status.RESPONDED} for s in summaries)
    assert len({r["capture_at_ns"] for r in requests}) >= 1


async def test_everybody_is_asked_to_cut_at_one_instant(
    daemon: MemoryDaemon, autojump_clock: MockClock
) -> None:
    a, b = await connected(daemon, "a", "b")
    seen = []

    async def act(peer: MemoryPeer, captured: int) -> None:
        request = await peer.request()
        seen.append(request)
        await peer.reply(request["snapshot_id"], graph(peer.process), captured_at_ns=captured)

    summary, _ = await take(daemon, 5000, lambda: act(a, 1_000_000), lambda: act(b, 3_500_000))
    assert seen[0] == seen[1]
    assert seen[0]["capture_at_ns"] > 0
    assert summary.skew_ms == 2.5


async def test_chronic_peers_hold_up_nobody_after_three_misses(
    daemon: MemoryDaemon, autojump_clock: MockClock
) -> None:
    a, b = await connected(daemon, "a", "b")
    for _ in range(3):
        _, took = await take(daemon, 5000, answering(a))
        assert took == pytest.approx(5.5)
    summary, took = await take(daemon, 5000, answering(a))
    assert took == pytest.approx(0.25)
    assert summary.count(Status.TIMEOUT) == 1
    for _ in range(4):  # the requests it has not read
        await b.request()
    summary, took = await take(daemon, 5000, answering(a), answering(b, 0.2))
    assert summary.count(Status.RESPONDED) == 2
    summary, took = await take(daemon, 5000, answering(a), answering(b, 3))
    assert took == pytest.approx(3)


async def test_a_slow_decode_after_the_deadline_is_still_in_time(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    daemon = MemoryDaemon(nursery, inline_bytes=0, decode_delay_s=8)
    (a,) = await connected(daemon, "a")
    summary, took = await take(daemon, 1000, answering(a))
    assert ends(summary) == {"a": Status.RESPONDED}
    assert took == pytest.approx(8)


async def test_a_reply_that_cannot_be_stored_is_an_error(
    daemon: MemoryDaemon, autojump_clock: MockClock
) -> None:
    (a,) = await connected(daemon, "a")
    daemon.writer.refuse_replies = True
    summary, _ = await take(daemon, 5000, answering(a))
    assert ends(summary) == {"a": Status.ERROR}
    assert "disk is full" in str(summary.processes[0].error_text)
    assert daemon.kinds() == ["persist_failed"]


async def test_the_snapshot_is_answered_when_all_is_stored(
    daemon: MemoryDaemon, autojump_clock: MockClock
) -> None:
    (a,) = await connected(daemon, "a")
    daemon.writer.hold = trio.Event()

    async def release() -> None:
        await trio.sleep(20)
        assert not daemon.writer.completions
        assert daemon.writer.hold is not None
        daemon.writer.hold.set()

    _, took = await take(daemon, 1000, answering(a), release)
    assert took == pytest.approx(20)


async def test_frozen_identity_and_late_comers(
    daemon: MemoryDaemon, autojump_clock: MockClock
) -> None:
    (a,) = await connected(daemon, "a")
    await a.hello()
    await trio.testing.wait_all_tasks_blocked()

    async def act() -> None:
        request = await a.request()
        daemon.connect("newcomer", 9)
        await a.reply(request["snapshot_id"], graph("a"), process="other", pid=77)

    summary, took = await take(daemon, 5000, act)
    assert took == 0
    assert [p.proc_key for p in summary.processes] == ["a-1"]
    assert daemon.kinds() == ["identity_changed"]


async def test_bad_reply_with_a_snapshot_fails_at_once_and_garbage_at_the_end(
    daemon: MemoryDaemon, autojump_clock: MockClock
) -> None:
    a, b = await connected(daemon, "a", "b")

    async def bad() -> None:
        request = await a.request()
        await a.reply(request["snapshot_id"], {"nodes": "none"})

    async def garbage() -> None:
        await b.request()
        await b.send(b"\xff\xff")

    summary, took = await take(daemon, 5000, bad, garbage)
    assert [p.status for p in summary.processes] == [Status.ERROR, Status.ERROR]
    assert took == pytest.approx(5.5)
    assert daemon.kinds() == ["decode_error", "decode_error"]


async def test_spans_tell_every_stage(daemon: MemoryDaemon, autojump_clock: MockClock) -> None:
    (a,) = await connected(daemon, "a")
    await take(daemon, 5000, answering(a))
    (done,) = [h for h in daemon.happenings if isinstance(h, SnapshotCompleted)]
    (span,) = done.spans
    stages = [
        span.queued_at_ns, span.sent_at_ns, span.received_at_ns, span.decoded_at_ns,
        span.stored_at_ns,
    ]  # fmt: skip
    assert None not in stages
    assert stages == sorted(stages)  # type: ignore[type-var]
    assert span.reply_bytes > 0
    assert frame({})


async def test_the_first_identity_of_a_connection_stays(
    daemon: MemoryDaemon, autojump_clock: MockClock
) -> None:
    (a,) = await connected(daemon, "a")
    await take(daemon, 5000, answering(a))
    summary, _ = await take(daemon, 5000, answering(a, process="renamed"))
    assert [p.proc_key for p in summary.processes] == ["a-1"]
    a.process = "late"
    await a.hello(host="box")
    await trio.testing.wait_all_tasks_blocked()
    (peer,) = daemon.registry.peers()
    assert (peer.proc_key, peer.host) == ("a-1", "box")
    assert daemon.kinds() == ["identity_changed"] * 2
    assert "'renamed'" in daemon.problems[0].detail


async def test_a_connection_that_breaks_while_its_reply_is_stored_has_responded(
    daemon: MemoryDaemon, autojump_clock: MockClock
) -> None:
    (a,) = await connected(daemon, "a")
    daemon.writer.hold = trio.Event()

    async def reset() -> None:
        await answering(a)()
        await trio.testing.wait_all_tasks_blocked()
        await a.stream.aclose()
        # Nothing else would show a break to a reader that is busy storing: a request does.
        (peer,) = daemon.registry.peers()
        assert peer.ask(SnapshotRequest(99, 1, 0))
        await trio.testing.wait_all_tasks_blocked()
        assert daemon.writer.hold is not None
        daemon.writer.hold.set()

    summary, _ = await take(daemon, 5000, reset)
    assert [(p.status, p.nodes) for p in summary.processes] == [(Status.RESPONDED, 1)]
    assert [p.proc_key for _, p in daemon.writer.completions[0].silent] == []


async def test_the_instant_of_the_cut_is_ahead_however_long_the_store_took(
    daemon: MemoryDaemon, autojump_clock: MockClock
) -> None:
    (a,) = await connected(daemon, "a")
    daemon.writer.begin_takes_s = 30
    daemon.rounds._wall_ns = lambda: int(trio.current_time() * 1e9)
    seen = []

    async def act() -> None:
        request = await a.request()
        seen.append(request["capture_at_ns"] - trio.current_time() * 1e9)
        await a.reply(request["snapshot_id"], graph("a"))

    await take(daemon, 5000, act)
    assert seen[0] > 1_000_000


async def test_durations_do_not_care_when_the_clock_is_set_back(
    daemon: MemoryDaemon, autojump_clock: MockClock
) -> None:
    (a,) = await connected(daemon, "a")
    daemon.rounds._wall_ns = lambda: int(1e18 - trio.current_time() * 1e12)
    summary, _ = await take(daemon, 5000, answering(a, 2))
    assert summary.elapsed_ms == pytest.approx(2000)
    (peer,) = daemon.registry.peers()
    assert peer.last_latency_ns == pytest.approx(2e9)


async def test_who_is_cut_off_because_the_daemon_stops_is_not_to_blame(
    autojump_clock: MockClock,
) -> None:
    async with trio.open_nursery() as outer, trio.open_nursery() as connections:
        daemon = MemoryDaemon(connections)
        a, b = await connected(daemon, "a", "b")
        summaries = []

        async def run() -> None:
            summaries.append(await daemon.rounds.take(5000))

        outer.start_soon(run)
        await answering(a)()
        await b.request()
        await trio.testing.wait_all_tasks_blocked()
        connections.cancel_scope.cancel()
    assert [p.status for p in summaries[0].processes] == [Status.RESPONDED, Status.ERROR]
    assert "peepsd stopped" in str(summaries[0].processes[1].error_text)
    assert "stopped" in str(daemon.writer.completions[0].interrupted)


async def test_a_snapshot_that_cannot_be_stored_is_closed_and_says_so(
    daemon: MemoryDaemon, autojump_clock: MockClock
) -> None:
    await connected(daemon, "a")
    daemon.writer.refuse_freezing = True
    with pytest.raises(StoreError):
        await daemon.rounds.take(5000)
    assert daemon.writer.interrupted == {1: "it could not be stored: the disk is full"}


async def test_a_snapshot_that_is_cancelled_is_closed_and_says_so(
    daemon: MemoryDaemon, autojump_clock: MockClock
) -> None:
    await connected(daemon, "a")
    with trio.move_on_after(1):
        await daemon.rounds.take(5000)
    assert "stopped" in daemon.writer.interrupted[1]


async def test_nobody_makes_room_for_a_newcomer_while_being_asked(
    daemon: MemoryDaemon, autojump_clock: MockClock
) -> None:
    names = [f"seed{n}" for n in range(10)]
    peers = await connected(daemon, *names)
    crowd, later_ns = Crowd(daemon.registry), time.time_ns() + 2 * MOMENT_NS

    async def newcomers() -> None:
        await trio.sleep(0.5)
        assert [crowd.leaver(later_ns + n * MOMENT_NS) for n in range(10)] == [None] * 10

    summary, _ = await take(daemon, 5000, newcomers, *(answering(p, 1.0) for p in peers))
    assert ends(summary) == dict.fromkeys(names, Status.RESPONDED)
