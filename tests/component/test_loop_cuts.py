"""An observer must not disturb: nothing is woken, nothing is kept, finalisers stay at home."""

import asyncio
import contextlib
import gc
import itertools
import signal
import sys
import threading
import time
import traceback
import types
import weakref

import outcome
import pytest
import trio
import uvloop

from peeps import pause, turns
from peeps.collectors.asyncio_tasks import AsyncioTasks
from peeps.collectors.trio_tasks import TrioTasks
from peeps.cut import Cut
from peeps.loop_cuts import LoopCut, ask_turning_loops
from peeps.pause import no_garbage_collection
from peeps.turns import LongTurns, ShortTurns, SteadyTurns
from tests.support.insides import asyncio_host, look
from tests.support.waiting import wait_until

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


@pytest.mark.parametrize("sleep", [asyncio.sleep, trio.sleep], ids=["asyncio", "trio"])
def test_a_loop_that_a_timer_is_about_to_wake_takes_its_cut_itself(sleep):
    """A look from outside would not be over by then."""
    stop = threading.Event()

    async def beat():
        while not stop.is_set():
            await sleep(0.001)

    run = asyncio.run if sleep is asyncio.sleep else trio.run
    host = threading.Thread(
        target=lambda: run(beat()) if run is asyncio.run else run(beat), daemon=True
    )
    host.start()
    time.sleep(0.05)
    try:
        cuts = [look().of_kind("event_loop")[0]["attrs"] for _ in range(5)]
    finally:
        stop.set()
        host.join(30)
    assert [(cut["cut"], cut["atomic"]) for cut in cuts] == [("in_loop", True)] * 5


class FakeLoop:
    """A loop of which a test says everything."""

    library = "fake"
    ident = -1
    ref = ("event_loop", 1)

    def __init__(self, *, places, due_in=None, tasks=0, turns=False):
        self._places = iter(places)
        self._due_in, self._tasks, self._turns = due_in, tasks, turns
        self.asked = 0

    def place_if_parked(self, cut):
        return next(self._places)

    def due_in(self):
        return self._due_in

    def task_count(self):
        return self._tasks

    def ready_count(self):
        return 0

    def step(self, cut):
        return None

    def turn_began_ago(self, cut):
        return None

    def frame_around_step(self, cut):
        return None

    def ask(self, work, *, is_quick=False):
        self.asked += 1
        self.work = work  # as a loop's handle does
        if self._turns:
            work()
        return lambda: None


class FakeCollector:
    name = "fake"
    captured = 0

    def capture_loop(self, loop, cut):
        self.captured += 1
        return "captured"


@pytest.mark.parametrize(
    ("due_in", "tasks", "sleeps_on"),
    [
        (None, 0, True),
        (10.0, 10**6, True),  # longer than anybody has patience
        (0.004, 0, True),  # a look is over by then
        (0.004, 1000, False),
        (0.0001, 0, False),
        (-0.1, 0, False),
        (0.04, 10**6, False),
    ],
)
def test_whether_a_loop_sleeps_for_longer_than_a_look_takes(due_in, tasks, sleeps_on):
    loop = FakeLoop(places=["place"], due_in=due_in, tasks=tasks)
    assert LoopCut(FakeCollector(), loop).sleeps_on(Cut(), 0.05) == sleeps_on


def test_a_loop_that_never_reaches_its_timer_is_looked_at_after_all():
    loop = FakeLoop(places=itertools.repeat("place"), due_in=0.0)
    cut = Cut()
    left = ask_turning_loops([LoopCut(FakeCollector(), loop)], cut, lambda cut: None, 0.02)
    (loop_cut,) = left
    assert loop.asked == 1
    assert loop_cut.waited_s > 0
    before = loop_cut.look(cut)
    assert loop_cut.held(before, cut)
    assert loop_cut.kind == "parked"


def test_a_loop_that_woke_up_in_the_middle_of_a_look_may_take_its_cut_itself():
    loop = FakeLoop(places=["asleep", "asleep", None, None], turns=True)
    loop_cut, cut = LoopCut(FakeCollector(), loop), Cut()
    assert ask_turning_loops([loop_cut], cut, lambda cut: None) == [loop_cut]
    before = loop_cut.look(cut)
    assert not loop_cut.held(before, cut)
    assert loop_cut.woke_up
    assert ask_turning_loops([loop_cut], cut, lambda cut: None) == []
    assert (loop_cut.kind, loop_cut.atomic, loop_cut.captured) == ("in_loop", True, "captured")


def test_a_loop_lets_go_itself_of_what_its_cut_held():
    class Thing:
        pass

    class Borrowing(FakeCollector):
        def capture_loop(self, loop, cut):
            thing = Thing()
            self.reference = weakref.ref(thing)
            cut.borrowed.append([thing])

    collector = Borrowing()
    loop_cut = LoopCut(collector, FakeLoop(places=[None], turns=True))
    assert ask_turning_loops([loop_cut], Cut(), lambda cut: None) == []
    assert loop_cut.kind == "in_loop"
    assert collector.reference() is None


def test_a_loop_whose_own_cut_fails_is_looked_at():
    class Failing(FakeCollector):
        def capture_loop(self, loop, cut):
            raise LookupError

    loop = FakeLoop(places=[None], turns=True)
    loop_cut = LoopCut(Failing(), loop)
    assert ask_turning_loops([loop_cut], Cut(), lambda cut: None) == [loop_cut]
    assert loop_cut.problem == "LookupError"


class Alarm(Exception):
    pass


@pytest.mark.parametrize(
    ("run", "sleep", "collector"),
    [
        (asyncio.run, asyncio.sleep, AsyncioTasks),
        (trio.run, trio.sleep, TrioTasks),
    ],
    ids=["asyncio", "trio"],
)
def test_what_a_signal_handler_raises_in_a_cut_reaches_the_program(
    run, sleep, collector, monkeypatch
):
    """It ends the loop, as it does when the signal comes while the loop sleeps."""

    def handler(number, frame):
        raise Alarm

    capture = collector.capture_loop

    def interrupted(self, loop, cut):
        if threading.current_thread() is threading.main_thread():
            signal.raise_signal(signal.SIGUSR1)
        return capture(self, loop, cut)

    async def main():
        agent = threading.Thread(target=look, daemon=True)
        agent.start()
        while True:
            await sleep(0)

    monkeypatch.setattr(collector, "capture_loop", interrupted)
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with pytest.raises((Alarm, trio.TrioInternalError)) as caught:
            run(main()) if run is asyncio.run else run(main)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert "Alarm" in "".join(traceback.format_exception(caught.value))


def test_a_step_after_the_loop_s_own_cut_is_not_mixed_with_it():
    """The thread holds what a task was seen to wait for a moment earlier."""
    stop = threading.Event()

    async def main():
        lock = asyncio.Lock()

        async def use():
            while not stop.is_set():
                async with lock:
                    time.sleep(0.002)  # noqa: ASYNC251 - the thread shall be found here
                    await asyncio.sleep(0)

        await asyncio.gather(use(), use())

    host = threading.Thread(target=asyncio.run, args=(main(),), daemon=True)
    host.start()
    time.sleep(0.05)
    try:
        views = [look() for _ in range(20)]
    finally:
        stop.set()
        host.join(30)
    took = [v for v in views if v.of_kind("event_loop")[0]["attrs"]["cut"] == "in_loop"]
    assert took
    for view in took:
        for lock in view.of_kind("lock"):
            if lock["attrs"]["type"] == "asyncio.locks.Lock":
                assert [node["kind"] for node in view.out(lock)] in ([], ["task"])


@BOTH_LOOPS
def test_looking_leaves_no_frame_objects_behind(new_loop):
    made = {}

    async def inner():
        await asyncio.Event().wait()

    async def outer():
        await made["inner"]

    async def main():
        made["inner"], made["outer"] = inner(), outer()
        await made["outer"]

    with asyncio_host(main, new_loop):
        look()
        referents = [type(found) for found in gc.get_referents(*made.values())]
    assert types.CodeType in referents
    assert types.FrameType not in referents


def test_turns_are_short_while_a_request_is_answered_but_not_while_waiting_or_holding_frames():
    before = sys.getswitchinterval()
    with ShortTurns() as answering:
        assert sys.getswitchinterval() < before
        with SteadyTurns():
            assert sys.getswitchinterval() == pytest.approx(0.005)
        assert sys.getswitchinterval() < 0.001
        with answering.given_back():
            assert sys.getswitchinterval() == before
        assert sys.getswitchinterval() < 0.001
    assert sys.getswitchinterval() == before
