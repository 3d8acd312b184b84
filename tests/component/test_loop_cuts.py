"""An observer must not disturb: nothing is woken, nothing is kept, finalisers stay at home."""

import asyncio
import contextlib
import gc
import sys
import threading
import time
import weakref

import outcome
import pytest
import trio
import uvloop

from peeps import pause, turns
from peeps.pause import no_garbage_collection
from peeps.turns import LongTurns, ShortTurns
from tests.support.insides import asyncio_host, look, wait_until

BOTH_LOOPS = pytest.mark.parametrize(
    "new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["stdlib", "uvloop"]
)


def test_a_program_that_hangs_because_its_loop_is_never_woken_still_hangs():
    """The bug that looking must not cure: a future set from another thread."""
    state = {}

    async def main():
        state["future"] = asyncio.get_running_loop().create_future()
        await state["future"]
        state["woken"] = True

    loop = asyncio.new_event_loop()
    host = threading.Thread(target=lambda: loop.run_until_complete(main()), daemon=True)
    host.start()
    wait_until(lambda: "future" in state)
    time.sleep(0.05)
    state["future"].set_result(None)  # the bug: not by call_soon_threadsafe
    for _ in range(10):
        view = look()
        (node,) = view.of_kind("event_loop")
        assert node["attrs"]["cut"] == "parked"
        assert node["attrs"]["ready_while_parked"] == 1
    time.sleep(0.05)
    assert "woken" not in state
    loop.call_soon_threadsafe(lambda: None)
    host.join(30)
    assert state["woken"]
    loop.close()


@BOTH_LOOPS
def test_a_loop_in_debug_mode_logs_nothing_of_ours(new_loop, caplog):
    """It would log every callback of the agent: each takes longer than that."""
    seen = []

    async def main():
        asyncio.get_running_loop().slow_callback_duration = 0
        thread = threading.Thread(target=lambda: seen.append(look()))
        thread.start()
        while thread.is_alive():  # noqa: ASYNC110 - the loop shall turn
            await asyncio.sleep(0)

    loop = new_loop()
    loop.set_debug(True)
    loop.run_until_complete(main())
    loop.close()
    assert seen[0].of_kind("event_loop")
    assert not [r for r in caplog.records if "LoopCut" in r.getMessage()]


def test_the_same_in_trio():
    state = {}

    async def main():
        state["token"] = trio.lowlevel.current_trio_token()
        state["event"] = trio.Event()
        await state["event"].wait()
        state["woken"] = True

    host = threading.Thread(target=trio.run, args=(main,), daemon=True)
    host.start()
    wait_until(lambda: "event" in state)
    time.sleep(0.1)
    task = next(iter(state["event"]._tasks))
    state["event"]._tasks.clear()
    task._runner.runq.append(task)  # what setting it from another thread comes to
    task._next_send_fn, task._next_send = task.coro.send, outcome.Value(None)
    for _ in range(10):
        (node,) = look().of_kind("event_loop")
        assert node["attrs"]["cut"] == "parked"
    time.sleep(0.05)
    assert "woken" not in state
    state["token"].run_sync_soon(lambda: None)
    host.join(30)
    assert not host.is_alive()


@BOTH_LOOPS
def test_finalisers_run_where_they_did(new_loop):
    """Objects of tasks that end all the time, while somebody looks all the time."""
    where = set()
    stop = threading.Event()

    class Watched:
        def __del__(self):
            where.add(threading.get_ident())

    async def short():
        kept = Watched()
        await asyncio.sleep(0)
        return kept is None

    async def main():
        async def churn():
            while not stop.is_set():
                await asyncio.gather(*(short() for _ in range(50)))
                await asyncio.sleep(0.001)

        where.add(threading.get_ident())
        asyncio.create_task(churn())  # noqa: RUF006
        await asyncio.sleep(0)

    loop = new_loop()

    async def run():
        await main()
        while not stop.is_set():  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    host = threading.Thread(target=lambda: loop.run_until_complete(run()), daemon=True)
    host.start()
    wait_until(lambda: where)
    try:
        for _ in range(30):
            look()
    finally:
        stop.set()
        host.join(30)
        loop.close()
    assert where == {host.ident}


def test_nothing_of_the_host_is_kept():
    kept = {}

    async def main():
        class Payload:
            pass

        async def wait(payload):
            await asyncio.Event().wait()

        payload = Payload()
        kept["payload"] = weakref.ref(payload)
        kept["task"] = asyncio.create_task(wait(payload))
        kept["weak"] = weakref.ref(kept["task"])

    with asyncio_host(main) as loop:
        view = look()
        done = threading.Event()

        async def end():
            task = kept.pop("task")
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            del task
            done.set()

        asyncio.run_coroutine_threadsafe(end(), loop)
        assert done.wait(30)
        wait_until(lambda: kept["payload"]() is None and kept["weak"]() is None)
    assert view.nodes


def test_no_collection_runs_while_the_process_is_looked_at():
    before = gc.get_threshold()
    phases = []
    gc.callbacks.append(lambda phase, info: phases.append(phase))
    try:
        gc.set_threshold(1)
        with no_garbage_collection():
            phases.clear()
            keep = [[] for _ in range(1000)]
            assert phases == []
        assert gc.isenabled()
        keep += [[] for _ in range(1000)]
        assert phases
    finally:
        gc.set_threshold(*before)
        gc.callbacks.pop()


def test_the_host_s_own_settings_of_collection_are_neither_hidden_nor_overruled():
    before = gc.get_threshold()
    try:
        with no_garbage_collection():
            assert gc.isenabled()
            gc.disable()
        assert not gc.isenabled()
        gc.enable()
        with no_garbage_collection():
            gc.set_threshold(12_345)
        assert gc.get_threshold()[0] == 12_345
    finally:
        gc.enable()
        gc.set_threshold(*before)


def test_the_last_of_several_cuts_turns_collection_on_again():
    before = gc.get_threshold()
    first, second = no_garbage_collection(), no_garbage_collection()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert gc.get_threshold()[0] == 0
    second.__exit__(None, None, None)
    assert gc.get_threshold() == before


def test_a_child_forked_inside_a_cut_has_the_host_s_settings():
    before = gc.get_threshold(), sys.getswitchinterval()
    with ShortTurns(), LongTurns(0.2), no_garbage_collection():
        pause.forget_after_fork()  # as the hook of the child does
        turns.forget_after_fork()
        assert (gc.get_threshold(), sys.getswitchinterval()) == before
    assert (gc.get_threshold(), sys.getswitchinterval()) == before


def test_a_collection_that_was_off_stays_off():
    gc.disable()
    try:
        with no_garbage_collection():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_the_switch_interval_and_collection_are_as_before_after_a_look():
    before = sys.getswitchinterval(), gc.isenabled()
    look()
    assert (sys.getswitchinterval(), gc.isenabled()) == before


@BOTH_LOOPS
def test_several_loops_each_get_their_own_cut(new_loop):
    release = threading.Event()
    hosts = []

    def run(coroutine, name):
        loop = new_loop()
        thread = threading.Thread(target=lambda: loop.run_until_complete(coroutine), name=name)
        thread.daemon = True
        thread.start()
        hosts.append((thread, loop))

    async def sleeps():
        while not release.is_set():  # noqa: ASYNC110
            await asyncio.sleep(0.5)

    async def turns():
        while not release.is_set():  # noqa: ASYNC110
            await asyncio.sleep(0)

    async def blocks():
        release.wait()

    run(sleeps(), "sleeps")
    run(turns(), "turns")
    run(blocks(), "blocks")
    time.sleep(0.2)
    try:
        view = look()
    finally:
        release.set()
        for thread, loop in hosts:
            thread.join(30)
            loop.close()
    kinds = {
        view.nodes[node["attrs"]["thread"]]["attrs"]["name"]: node["attrs"]["cut"]
        for node in view.of_kind("event_loop")
    }
    assert kinds == {"sleeps": "parked", "turns": "in_loop", "blocks": "blocked"}
