"""Real children, killed in every way there is; nobody waits for a fixed time."""

import gc
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from peepsd.workers.pool import (
    Limits,
    WorkerBusy,
    WorkerDied,
    WorkerFailed,
    WorkerPool,
    WorkerTimeout,
    WorkerUnavailable,
)

ROOT = str(Path(__file__).parents[2])
LONG = 60.0


@asynccontextmanager
async def running(
    function: str = "misbehave",
    *,
    size: int = 1,
    queue_limit: int = 4,
    spare: int = 0,
    limits: Limits | None = None,
) -> AsyncIterator[WorkerPool]:
    pool = WorkerPool(
        f"tests.support.worker_targets:{function}",
        size=size,
        queue_limit=queue_limit,
        spare=spare,
        limits=limits,
        site_packages=False,
        import_from=(ROOT,),
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(pool.run)
        yield pool
        nursery.cancel_scope.cancel()


async def until(condition: Callable[[], bool]) -> None:
    with trio.fail_after(LONG):
        while not condition():  # noqa: ASYNC110 (the system has no event for these)
            await trio.sleep(0.01)


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def ask(pool: WorkerPool, order: str, deadline_s: float = LONG) -> str:
    return (await pool.call(order.encode(), deadline_s=deadline_s)).decode()


@pytest.mark.parametrize("size", [0, 1, 65_536, 1_048_577, 5_000_000])
async def test_answers_come_back_whole(size: int) -> None:
    async with running("echo") as pool:
        request = os.urandom(size)
        assert await pool.call(request, deadline_s=LONG) == request
        assert await pool.call(memoryview(b"again"), deadline_s=LONG) == b"again"


async def test_128_mib_pass_both_ways_while_others_get_their_turn() -> None:
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with running("echo") as pool, trio.open_nursery() as nursery:
        nursery.start_soon(take_turns)
        request = bytes(128 * 1024 * 1024)
        reply = await pool.call(request, deadline_s=LONG)
        nursery.cancel_scope.cancel()
    assert reply == request
    assert turns > 256  # every chunk of either direction let others run
    del request, reply
    gc.collect()


async def test_one_child_is_used_again_and_again() -> None:
    async with running("pid") as pool:
        pids = {await pool.call(b"", deadline_s=LONG) for _ in range(5)}
        assert len(pids) == 1
        assert (pool.statistics().calls, pool.statistics().starts) == (5, 1)


async def test_a_child_that_moved_much_is_replaced() -> None:
    async with running("echo") as pool:
        await pool.call(bytes(9 * 1024 * 1024), deadline_s=LONG)
        assert pool.statistics().idle == 0


async def test_a_missed_deadline_kills_and_the_next_call_is_served() -> None:
    async with running() as pool:
        pid = int(await ask(pool, "pid"))
        with pytest.raises(WorkerTimeout, match=r"0\.2 s"):
            await ask(pool, "sleep 60", deadline_s=0.2)
        await until(lambda: not exists(pid))
        assert int(await ask(pool, "pid")) != pid
        assert pool.statistics().timeouts == 1


async def test_a_call_that_holds_the_interpreter_lock_is_killed_too() -> None:
    async with running() as pool:
        with pytest.raises(WorkerTimeout):
            await ask(pool, "hold-lock", deadline_s=0.2)
        assert await ask(pool, "echo 1") == "1"


async def test_cancelling_a_call_kills_its_child() -> None:
    async with running() as pool:
        pid = int(await ask(pool, "pid"))
        with trio.move_on_after(0.1) as scope:
            await ask(pool, "sleep 60")
        assert scope.cancelled_caught
        await until(lambda: not exists(pid))
        assert await ask(pool, "echo 1") == "1"


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ("exit the reason why", "ended with status 3: the reason why"),
        ("die", "was killed by SIGKILL"),
        ("garbage", "broke the protocol"),
    ],
)
async def test_a_child_that_dies_says_why_and_is_replaced(order: str, message: str) -> None:
    async with running() as pool:
        with pytest.raises(WorkerDied, match=message):
            await ask(pool, order)
        assert await ask(pool, "echo 1") == "1"


async def test_a_child_that_closes_its_pipe_is_not_waited_for_in_full() -> None:
    async with running() as pool:
        pid = int(await ask(pool, "pid"))
        with pytest.raises(WorkerDied):
            await ask(pool, "close-pipe")
        await until(lambda: not exists(pid))


async def test_a_child_that_died_while_idle_troubles_nobody() -> None:
    async with running() as pool:
        pid = int(await ask(pool, "pid"))
        os.kill(pid, 9)
        await until(lambda: pool.statistics().idle == 0)
        assert int(await ask(pool, "pid")) != pid
        assert pool.statistics().deaths == 0


async def test_a_defect_is_reported_and_the_child_lives_on() -> None:
    async with running() as pool:
        pid = await ask(pool, "pid")
        with pytest.raises(WorkerFailed, match="ValueError: no such luck"):
            await ask(pool, "raise no such luck")
        assert await ask(pool, "pid") == pid


@pytest.mark.parametrize("order", ["print", "shout"])
async def test_what_a_child_prints_neither_corrupts_nor_blocks(order: str) -> None:
    async with running() as pool:
        assert await ask(pool, order) == "done"
        assert await ask(pool, "echo 1") == "1"


async def test_beyond_size_and_queue_callers_are_refused_at_once(tmp_path: Path) -> None:
    gate = tmp_path / "go"
    done = 0

    async def hold() -> None:
        nonlocal done
        await ask(pool, f"wait-for {gate}")
        done += 1

    async with running(size=2, queue_limit=3) as pool, trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(hold)
        await until(lambda: pool.statistics().waiting == 3)
        with pytest.raises(WorkerBusy, match=r"2 requests .* 3 wait"):
            await ask(pool, "echo 1")
        assert pool.statistics().busy == 2
        gate.touch()
        await until(lambda: done == 5)
        assert pool.statistics().refused == 1
        assert pool.statistics().starts <= 2


async def test_a_queue_of_none_still_serves_a_free_child() -> None:
    async with running(queue_limit=0) as pool:
        assert await ask(pool, "echo 1") == "1"


async def test_spares_are_warm_before_anybody_asks_and_again_after_a_kill() -> None:
    async with running(size=1, spare=1) as pool:
        await until(lambda: pool.statistics().idle == 1)
        with pytest.raises(WorkerDied):
            await ask(pool, "die")
        await until(lambda: pool.statistics().idle == 1)
        for _ in range(10):
            await ask(pool, "echo 1")
        assert pool.statistics().idle <= 2


async def test_nothing_is_left_when_the_pool_ends() -> None:
    async with running(size=2, spare=1) as pool, trio.open_nursery() as nursery:
        pids: list[int] = []

        async def note_pid() -> None:
            pids.append(int(await ask(pool, "pid")))

        for _ in range(3):
            nursery.start_soon(note_pid)
    assert len(pids) == 3
    assert not any(exists(pid) for pid in pids)  # killed and reaped, not left as zombies
    with pytest.raises(WorkerUnavailable, match="shutting down"):
        await ask(pool, "echo 1")


async def test_a_call_at_work_when_the_pool_ends_fails_clearly() -> None:
    caught: list[Exception] = []

    async def call() -> None:
        try:
            await ask(pool, "sleep 60")
        except WorkerDied as error:
            caught.append(error)

    with trio.fail_after(LONG):
        async with trio.open_nursery() as outer, running() as pool:
            outer.start_soon(call)
            await until(lambda: pool.statistics().starts == 1)
    assert len(caught) == 1


async def test_failing_starts_are_told_and_back_off() -> None:
    async with running("missing", size=1, spare=1) as pool:
        await until(lambda: pool.statistics().failed_starts >= 2)
        for _ in range(200):
            with pytest.raises(WorkerUnavailable, match=r"no attribute 'missing'"):
                await ask(pool, "echo 1")
        assert pool.statistics().failed_starts < 20  # most were told without another try
        assert pool.statistics().starts == 0


async def test_surroundings_of_a_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEEPS_DASHBOARD", "127.0.0.1:1")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    limits = Limits(open_files=20, nice=3)
    async with running(limits=limits) as pool:
        facts = json.loads(await ask(pool, "facts"))
    assert facts == {
        "environment": {},
        "cwd": "/",
        "nice": os.nice(0) + 3,
        "session_leader": True,
        "isolated": True,
        "no_site": True,
        "stdin": "",
        "open_files": 20,
        "core_bytes": 0,
        "agent_loaded": False,
    }


async def test_memory_and_files_are_limited(tmp_path: Path) -> None:
    limits = Limits(memory_bytes=256 * 1024 * 1024, file_bytes=0)
    async with running(limits=limits) as pool:
        with pytest.raises(WorkerFailed, match="MemoryError"):
            await ask(pool, "fill-memory 1000000000")
        assert await ask(pool, "fill-memory 1000000") == "1000000"
        with pytest.raises(WorkerFailed, match="File too large"):
            await ask(pool, f"write-file {tmp_path / 'x'}")


async def test_third_party_packages_can_be_had() -> None:
    pool = WorkerPool("orjson:loads", size=1, queue_limit=0)
    async with trio.open_nursery() as nursery:
        await nursery.start(pool.run)
        assert await pool.call(b'""', deadline_s=LONG) == b""
        nursery.cancel_scope.cancel()


PARENT = """
import sys, trio
from peepsd.workers.pool import WorkerPool

async def main():
    pool = WorkerPool("tests.support.worker_targets:misbehave", size=1, queue_limit=0,
                      import_from=(sys.argv[1],))
    async with trio.open_nursery() as nursery:
        await nursery.start(pool.run)
        print((await pool.call(b"pid", deadline_s=60)).decode(), flush=True)
        await pool.call(b"sleep 600", deadline_s=600)

trio.run(main)
"""


async def test_a_child_at_work_dies_with_its_killed_parent() -> None:
    parent = await trio.lowlevel.open_process(
        [sys.executable, "-c", PARENT, ROOT], stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    with trio.fail_after(LONG):
        child = int(await parent.stdout.receive_some())
        parent.kill()
        await parent.wait()
    await parent.stdout.aclose()
    await until(lambda: not exists(child) or _is_zombie(child))


def _is_zombie(pid: int) -> bool:
    """Whether only its entry is left, because nobody here reaps orphans."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
