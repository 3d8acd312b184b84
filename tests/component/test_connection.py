"""One connection and what may go wrong on it, over memory streams and a virtual clock."""

import struct

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from peepsd.core.happenings import ProcessConnected, ProcessDisconnected, ProcessIdentified
from peepsd.core.limits import PeerLimits
from peepsd.net.budget import FREE_BYTES, ReceiveBudget

from ..support.memory_daemon import MemoryDaemon, MemoryPeer
from ..support.peers import frame, graph

TOKEN = "a secret of peeps"


async def cut_after(peer: MemoryPeer) -> float:
    """Seconds until the daemon hangs up."""
    began = trio.current_time()
    while await peer.stream.receive_some(65536):
        pass
    return trio.current_time() - began


async def test_a_peer_may_be_silent_for_days(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    daemon = MemoryDaemon(nursery)
    daemon.connect()
    await trio.sleep(7 * 86400)
    assert len(daemon.registry) == 1


async def test_a_stall_inside_a_frame_is_cut(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    daemon = MemoryDaemon(nursery, limits=PeerLimits(stall_s=10))
    for beginning in (b"\0", frame(b"x" * 100)[:50]):
        peer = daemon.connect()
        await peer.stream.send_all(beginning)
        assert await cut_after(peer) == pytest.approx(10)
    assert daemon.kinds() == ["slow_frame"] * 2


async def test_a_drip_is_cut_by_its_rate(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    daemon = MemoryDaemon(nursery, limits=PeerLimits(stall_s=10, frame_grace_s=30))
    peer = daemon.connect()

    async def drip() -> None:
        for byte in frame(b"x" * 1000):
            await peer.stream.send_all(bytes([byte]))
            await trio.sleep(5)

    async with trio.open_nursery() as inner:
        inner.start_soon(drip)
        assert await cut_after(peer) == pytest.approx(30, abs=0.1)
        inner.cancel_scope.cancel()
    assert daemon.kinds() == ["slow_frame"]


async def test_asked_and_never_a_byte_is_cut_in_the_end(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    daemon = MemoryDaemon(nursery, limits=PeerLimits(first_byte_s=3600))
    peer = daemon.connect()
    await trio.sleep(10_000)
    assert len(daemon.registry) == 1
    asked = trio.current_time()
    await daemon.rounds.take(1000)
    await cut_after(peer)
    assert trio.current_time() - asked < 2 * 3600 + 1
    assert daemon.kinds() == ["idle_connection"]


@pytest.mark.parametrize("length", [0, 2**31])
async def test_a_forbidden_length_closes(
    nursery: trio.Nursery, autojump_clock: MockClock, length: int
) -> None:
    daemon = MemoryDaemon(nursery)
    peer = daemon.connect()
    await peer.stream.send_all(struct.pack(">I", length))
    assert await cut_after(peer) == 0
    assert daemon.kinds() == ["frame_too_large"]


async def test_hanging_up_inside_a_frame_is_on_record(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    daemon = MemoryDaemon(nursery)
    peer = daemon.connect()
    await peer.stream.send_all(frame(b"x" * 100)[:50])
    await peer.stream.aclose()
    await trio.testing.wait_all_tasks_blocked()
    assert daemon.kinds() == ["truncated_frame"]
    assert len(daemon.registry) == 0


async def test_hello_names_the_peer_and_a_second_one_is_on_record(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    daemon = MemoryDaemon(nursery)
    peer = daemon.connect("My App", 5)
    await peer.hello(host="h", agent="peeps-python/0.1.0")
    await peer.hello()
    await trio.testing.wait_all_tasks_blocked()
    (known,) = daemon.registry.peers()
    assert (known.proc_key, known.host, known.said_hello) == ("my-app-5", "h", True)
    assert daemon.kinds() == ["unexpected_message"]
    kinds = [type(h) for h in daemon.happenings[:2]]
    assert kinds == [ProcessConnected, ProcessIdentified]


@pytest.mark.parametrize("token", [None, "wrong", ""])
async def test_without_the_token_nobody_takes_part(
    nursery: trio.Nursery, autojump_clock: MockClock, token: str | None
) -> None:
    daemon = MemoryDaemon(nursery, token=TOKEN)
    peer = daemon.connect()
    await peer.hello(token=token)
    assert await cut_after(peer) == 0
    assert daemon.kinds() == ["unauthorised"]
    assert not [h for h in daemon.happenings if isinstance(h, ProcessConnected)]


async def test_the_token_must_come_soon(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    daemon = MemoryDaemon(nursery, token=TOKEN)
    assert await cut_after(daemon.connect()) == pytest.approx(5)
    seed_only = daemon.connect()
    await seed_only.reply(1, graph("x"))
    assert await cut_after(seed_only) == 0
    garbled = daemon.connect()
    await garbled.send(b"{")
    assert await cut_after(garbled) == 0
    assert len(daemon.registry) == 0


async def test_the_token_admits(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    daemon = MemoryDaemon(nursery, token=TOKEN)
    peer = daemon.connect("web", 1)
    await peer.hello(token=TOKEN)
    await trio.testing.wait_all_tasks_blocked()
    assert [p.proc_key for p in daemon.registry.peers()] == ["web-1"]
    kinds = [type(h) for h in daemon.happenings[:2]]
    assert kinds == [ProcessConnected, ProcessIdentified]


async def test_a_failure_stays_in_its_connection(
    nursery: trio.Nursery, autojump_clock: MockClock, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon = MemoryDaemon(nursery)
    peer, other = daemon.connect("a", 1), daemon.connect("b", 2)
    await trio.testing.wait_all_tasks_blocked()

    def fail(*args: object) -> bool:
        raise RuntimeError("a bug of ours")

    daemon.registry.identify = fail  # type: ignore[method-assign]
    await peer.hello()
    assert await cut_after(peer) == 0
    del daemon.registry.identify  # type: ignore[method-assign]
    await other.hello()
    await trio.testing.wait_all_tasks_blocked()
    assert [p.proc_key for p in daemon.registry.peers()] == ["b-2"]
    (gone,) = [h for h in daemon.happenings if isinstance(h, ProcessDisconnected)]
    assert "own" in gone.reason
    assert "a bug of ours" in capsys.readouterr().out


async def test_a_peer_that_stops_reading_fails_at_once_when_its_queue_is_full(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    daemon = MemoryDaemon(nursery)
    ours, _theirs = trio.testing.lockstep_stream_pair()  # sends wait until they are read
    from peepsd.net.connection import serve_stream

    nursery.start_soon(serve_stream, ours, "here", "there", daemon._shared)
    await trio.testing.wait_all_tasks_blocked()
    statuses = [(await daemon.rounds.take(1)).processes[0].status.value for _ in range(35)]
    assert statuses[:33] == ["timeout"] * 33  # one in the writer's hands, 32 in the queue
    assert statuses[33:] == ["error"] * 2


# the receive budget


async def test_small_frames_never_wait(autojump_clock: MockClock) -> None:
    budget = ReceiveBudget(10)
    async with budget.frame() as a, budget.frame() as b:
        await budget.take(a, FREE_BYTES)
        await budget.take(b, FREE_BYTES)
    assert budget.statistics()["used_bytes"] == 0


async def test_the_eldest_goes_on_and_the_others_wait(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    budget, order = ReceiveBudget(100), []

    async def receive(name: str, delay: float, chunks: int) -> None:
        await trio.sleep(delay)
        async with budget.frame() as hold:
            await budget.take(hold, FREE_BYTES)
            for _ in range(chunks):
                await budget.take(hold, 60)
                await trio.sleep(1)
            order.append(name)

    async with trio.open_nursery() as inner:
        inner.start_soon(receive, "eldest", 0, 5)
        inner.start_soon(receive, "second", 0.1, 3)
        inner.start_soon(receive, "third", 0.2, 1)
        await trio.sleep(1.5)
        assert budget.statistics()["waiting"] == 2
    assert order[0] == "eldest"
    assert sorted(order) == ["eldest", "second", "third"]
    assert budget.statistics() == {
        "used_bytes": 0, "limit_bytes": 100, "frames": 0, "waiting": 0,
    }  # fmt: skip


async def test_giving_up_while_waiting_gives_back(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    budget = ReceiveBudget(10)
    async with budget.frame() as first:
        await budget.take(first, FREE_BYTES + 10)
        with trio.move_on_after(1):
            async with budget.frame() as second:
                await budget.take(second, FREE_BYTES + 10)
        assert budget.statistics()["used_bytes"] == 10
    assert budget.statistics()["used_bytes"] == 0


async def test_waiting_for_the_budget_is_not_the_peers_fault(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    daemon = MemoryDaemon(nursery, budget_bytes=1, limits=PeerLimits(stall_s=10))
    hog = daemon.connect("hog", 1)
    patient = daemon.connect("patient", 2)
    await hog.stream.send_all(frame(b"x" * 400_000)[:300_000])
    await trio.testing.wait_all_tasks_blocked()
    async with trio.open_nursery() as inner:
        inner.start_soon(patient.stream.send_all, frame(b" " * 300_000 + b"{}"))
        await cut_after(hog)
    await trio.testing.wait_all_tasks_blocked()
    assert daemon.kinds() == ["slow_frame", "decode_error"]  # of the hog; of the patient one
    assert len(daemon.registry) == 1


async def test_frames_that_come_at_once_are_taken_in_turns_with_others(
    nursery: trio.Nursery,
) -> None:
    daemon = MemoryDaemon(nursery)
    peer = daemon.connect()
    await trio.testing.wait_all_tasks_blocked()
    await peer.stream.send_all(frame(b"x") * 1000)
    seen = set()
    while len(daemon.problems) < 1000:
        await trio.lowlevel.checkpoint()
        seen.add(len(daemon.problems))
    assert len(seen) > 100


async def test_a_connection_that_makes_room_is_gone_at_once_and_on_record(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    daemon = MemoryDaemon(nursery)
    peer = daemon.connect()
    await trio.testing.wait_all_tasks_blocked()
    (known,) = daemon.registry.peers()
    known.cut("somebody else needs the place")
    assert len(daemon.registry) == 0
    await cut_after(peer)
    assert daemon.kinds() == ["evicted_connection"]
    gone = [h for h in daemon.happenings if isinstance(h, ProcessDisconnected)]
    assert [h.reason for h in gone] == ["somebody else needs the place"]
