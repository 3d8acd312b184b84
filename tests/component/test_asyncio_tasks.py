"""The asyncio collector inside this process: real loops in threads, both kinds."""

import asyncio
import contextlib
import threading
import time

import anyio
import pytest
import uvloop

from tests.support.insides import asyncio_host, look

BOTH_LOOPS = pytest.mark.parametrize(
    "new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["stdlib", "uvloop"]
)


def spawn(coroutine, name, kept=[]):  # noqa: B006 - tasks must not be collected
    task = asyncio.create_task(coroutine, name=name)
    kept.append(task)
    return task


@BOTH_LOOPS
def test_a_lock_needs_its_holder_and_two_locks_in_opposite_order_are_a_cycle(new_loop):
    async def main():
        a, b = asyncio.Lock(), asyncio.Lock()

        async def both(first, second):
            async with first:
                await asyncio.sleep(0)
                async with second:
                    raise AssertionError("not reached")

        spawn(both(a, b), "one")
        spawn(both(b, a), "two")

    with asyncio_host(main, new_loop):
        view = look()
    assert view.chain("one", 5) == ["one", "lock", "two", "lock", "one"]


@BOTH_LOOPS
def test_a_task_that_locks_twice_waits_for_itself(new_loop):
    async def main():
        lock = asyncio.Lock()

        async def twice():
            async with lock, lock:
                raise AssertionError("not reached")

        spawn(twice(), "self")

    with asyncio_host(main, new_loop):
        view = look()
    assert view.chain("self", 3) == ["self", "lock", "self"]


@BOTH_LOOPS
def test_somebody_who_waits_for_a_free_slot_does_not_hold_one(new_loop):
    async def main():
        semaphore = asyncio.Semaphore(2)

        async def work(name):
            async with semaphore:
                await asyncio.Event().wait()

        for name in ("holder one", "holder two", "waiter"):
            spawn(work(name), name)

    with asyncio_host(main, new_loop):
        view = look()
    (semaphore,) = view.out(view.find("waiter"))
    assert view.needs(semaphore["id"]) == {"holder one", "holder two"}
    assert semaphore["attrs"]["wait"] == "any"
    assert semaphore["attrs"]["value"] == 0


@BOTH_LOOPS
def test_a_condition_waiter_does_not_hold_its_lock(new_loop):
    async def main():
        condition = asyncio.Condition()

        async def wait():
            async with condition:
                await condition.wait()

        async def hold():
            async with condition:
                await asyncio.Event().wait()

        spawn(wait(), "waiter")
        await asyncio.sleep(0.01)
        spawn(hold(), "holder")
        await asyncio.sleep(0.01)
        spawn(hold(), "blocked")

    with asyncio_host(main, new_loop):
        view = look()
    assert view.chain("waiter") == ["waiter", "condition"]
    assert view.chain("blocked") == ["blocked", "lock", "holder", "notify"]


@BOTH_LOOPS
def test_groups_need_their_members(new_loop):
    async def main():
        async def wait():
            await asyncio.Event().wait()

        async def group():
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(wait(), name="child")

        async def gather():
            await asyncio.gather(wait_task, asyncio.sleep(0))

        async def first():
            await asyncio.wait([wait_task, wait_task_2], return_when=asyncio.FIRST_COMPLETED)

        async def shielded():
            await asyncio.shield(wait_task)

        async def direct():
            await wait_task

        wait_task, wait_task_2 = spawn(wait(), "wait"), spawn(wait(), "wait 2")
        for function in (group, gather, first, shielded, direct):
            spawn(function(), function.__name__)

    with asyncio_host(main, new_loop):
        view = look()
    assert view.chain("group") == ["group", "joinset", "child", "notify"]
    assert view.chain("gather", 3) == ["gather", "joinset", "wait"]
    assert view.chain("shielded", 2) == ["shielded", "wait"]
    assert view.chain("direct", 2) == ["direct", "wait"]
    (first,) = view.out(view.find("first"))
    assert view.needs(first["id"]) == {"wait", "wait 2"}
    assert first["attrs"]["wait"] == "any"


@BOTH_LOOPS
def test_queues_events_sleeps_and_timeouts(new_loop):
    async def main():
        full = asyncio.Queue(1)
        full.put_nowait(object())

        async def with_timeout():
            async with asyncio.timeout(1000):
                await asyncio.Queue().get()

        spawn(asyncio.Queue().get(), "get")
        spawn(full.put(1), "put")
        spawn(full.join(), "join")
        spawn(asyncio.Event().wait(), "event")
        spawn(asyncio.sleep(500), "sleep")
        spawn(with_timeout(), "timeout")
        spawn(asyncio.wait_for(asyncio.Event().wait(), 700), "wait_for")
        spawn(asyncio.Barrier(2).wait(), "barrier")

    with asyncio_host(main, new_loop):
        view = look()
    assert [view.chain(n)[1] for n in ("get", "put", "join")] == ["queue"] * 3
    assert [view.find(n)["attrs"]["op"] for n in ("get", "put", "join")] == ["get", "put", "join"]
    assert view.out(view.find("put"))[0]["attrs"]["size"] == 1
    assert view.chain("event") == ["event", "notify"]
    assert view.chain("barrier") == ["barrier", "barrier"]
    (sleep,) = view.out(view.find("sleep"))
    assert 0 < sleep["attrs"]["remaining_s"] <= 500
    assert 0 < view.find("timeout")["attrs"]["timeout_s"] <= 1000
    assert "notify" in view.chain("wait_for")


@BOTH_LOOPS
def test_time_limits_are_found_wherever_they_were_set(new_loop):
    async def event():
        await asyncio.Event().wait()

    @contextlib.asynccontextmanager
    async def limit():
        async with asyncio.timeout(600):
            yield

    async def in_a_stack():
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(asyncio.timeout(600))
            await event()

    async def in_a_manager():
        async with limit():
            await event()

    async def nearest():
        async with asyncio.timeout(600), asyncio.timeout(900):
            await event()

    async def anyio_scope():
        with anyio.move_on_after(600):
            await event()

    async def anyio_group():
        with anyio.fail_after(600):
            async with anyio.create_task_group() as group:
                group.start_soon(event, name="anyio child")
                await event()

    async def anyio_shield():
        with anyio.move_on_after(500), anyio.CancelScope(shield=True), anyio.move_on_after(600):
            await event()

    async def anyio_shielded():
        with anyio.move_on_after(500), anyio.CancelScope(shield=True):
            await event()

    async def none():
        async with asyncio.timeout(None):
            await event()

    limited = [in_a_stack, in_a_manager, nearest, anyio_scope, anyio_group, anyio_shield]

    async def main():
        for function in [*limited, anyio_shielded, none]:
            spawn(function(), function.__name__)
        spawn(asyncio.wait_for(event(), 600), "wait_for")
        spawn(asyncio.wait([spawn(event(), "plain")], timeout=600), "wait")
        spawn(asyncio.wait([asyncio.create_task(event())]), "wait for ever")

    with asyncio_host(main, new_loop):
        view = look()
    limits = {
        node["attrs"]["name"]: node["attrs"].get("timeout_s") for node in view.of_kind("task")
    }
    for name in [*(function.__name__ for function in limited), "wait_for", "wait", "anyio child"]:
        assert 500 < (limits[name] or 0) <= 600, name
    for name in ("anyio_shielded", "none", "plain", "wait for ever"):
        assert limits[name] is None, name


def test_executor_work_is_a_concurrent_future():
    release = threading.Event()

    async def main():
        spawn(asyncio.to_thread(release.wait), "to_thread")

    with asyncio_host(main):
        view = look()
        release.set()
    assert view.chain("to_thread", 2) == ["to_thread", "future"]
    (future,) = view.out(view.find("to_thread"))
    assert future["attrs"]["future_state"] == "RUNNING"


@BOTH_LOOPS
def test_a_lock_behind_an_exit_stack_or_a_generator_is_found(new_loop):
    async def main():
        one, two = asyncio.Lock(), asyncio.Lock()

        @contextlib.asynccontextmanager
        async def guarded():
            async with two:
                yield

        async def hold():
            async with contextlib.AsyncExitStack() as stack:
                await stack.enter_async_context(one)
                async with guarded():
                    await asyncio.Event().wait()

        async def want(lock):
            async with lock:
                pass

        spawn(hold(), "holder")
        await asyncio.sleep(0.01)
        spawn(want(one), "wants one")
        spawn(want(two), "wants two")

    with asyncio_host(main, new_loop):
        view = look()
    assert view.chain("wants one", 3) == ["wants one", "lock", "holder"]
    assert view.chain("wants two", 3) == ["wants two", "lock", "holder"]


@BOTH_LOOPS
def test_acquire_with_a_finally_that_releases_is_holding(new_loop):
    async def main():
        lock, module_wide = asyncio.Lock(), asyncio.Semaphore(1)
        holder = Holder(lock)

        async def by_name():
            await module_wide.acquire()
            try:
                await asyncio.Event().wait()
            finally:
                module_wide.release()

        async def around():
            try:
                await holder.lock.acquire()
                raise AssertionError("not reached")
            finally:
                if holder.lock is None:
                    holder.lock.release()

        spawn(holder.hold(), "by attribute")
        spawn(by_name(), "by name")
        await asyncio.sleep(0.01)
        spawn(around(), "waits for lock")
        spawn(module_wide.acquire(), "waits for semaphore")

    with asyncio_host(main, new_loop):
        view = look()
    assert view.chain("waits for lock", 3) == ["waits for lock", "lock", "by attribute"]
    assert view.chain("waits for semaphore", 3) == ["waits for semaphore", "semaphore", "by name"]


class Holder:
    def __init__(self, lock):
        self.lock = lock

    async def hold(self):
        await self.lock.acquire()
        try:
            await asyncio.Event().wait()
        finally:
            self.lock.release()


@BOTH_LOOPS
def test_a_bare_future_needs_those_who_have_it_in_a_local_variable(new_loop):
    async def main():
        done = asyncio.get_running_loop().create_future()
        orphan = asyncio.get_running_loop().create_future()

        async def set_it_later(future):
            await asyncio.Event().wait()
            future.set_result(None)

        async def gathers(future):
            await asyncio.gather(asyncio.gather(future), asyncio.Event().wait())

        async def wait(future):
            await future

        spawn(set_it_later(done), "setter")
        spawn(wait(done), "waiter")
        spawn(gathers(done), "gathers")
        spawn(wait(orphan), "abandoned")
        del done, orphan

    with asyncio_host(main, new_loop):
        view = look()
    assert view.chain("waiter") == ["waiter", "future", "setter", "notify"]
    assert view.chain("abandoned") == ["abandoned", "future"]
    (edge,) = [e for e in view.edges if e["attrs"].get("relation") == "may set it"]
    assert edge["attrs"]["inferred"]


def test_tasks_carry_stack_state_and_place_and_no_values():
    async def main():
        secret = "password"
        await inner(secret)

    async def inner(secret):
        await asyncio.Event().wait()

    with asyncio_host(main):
        view = look()
    task = view.find("main")
    attrs = task["attrs"]
    assert attrs["state"] == "waiting"
    assert attrs["stack"][0].startswith("test_tasks_carry_stack_state_and_place_and_no_values.")
    assert attrs["stack"][-1].startswith("Event.wait (")
    assert attrs["ctx.function"].endswith("<locals>.inner")
    assert attrs["ctx.location"] == f"{__file__}:{attrs['ctx.line']}"
    assert attrs["ctx.module_path"] == __name__
    assert "password" not in str(view.nodes)


@BOTH_LOOPS
def test_a_sleeping_loop_is_looked_at_and_not_woken(new_loop):
    turns = []

    async def main():
        loop = asyncio.get_running_loop()
        if new_loop is asyncio.new_event_loop:
            run_once = loop._run_once
            loop._run_once = lambda: (turns.append(1), run_once())
        await asyncio.Event().wait()

    with asyncio_host(main, new_loop):
        time.sleep(0.05)
        before = len(turns)
        view = look()
        assert len(turns) == before
    (loop,) = view.of_kind("event_loop")
    assert loop["attrs"]["cut"] == "parked"
    assert loop["attrs"]["atomic"] is True


@BOTH_LOOPS
def test_a_turning_loop_takes_the_cut_itself(new_loop):
    async def main():
        while True:  # noqa: ASYNC110 - it shall turn
            await asyncio.sleep(0)

    with turning_host(main, new_loop):
        view = look()
    (loop,) = view.of_kind("event_loop")
    assert loop["attrs"]["cut"] == "in_loop"
    assert loop["attrs"]["atomic"] is True


@BOTH_LOOPS
def test_a_blocked_loop_names_the_line_and_everybody_needs_it(new_loop):
    release = threading.Event()
    blocked = threading.Event()

    async def main():
        spawn(asyncio.Event().wait(), "innocent")
        await asyncio.sleep(0.01)
        blocked.set()
        release.wait()

    with turning_host(main, new_loop, blocked):
        view = look()
        release.set()
    (loop,) = view.of_kind("event_loop")
    assert loop["attrs"]["cut"] == "blocked"
    assert loop["attrs"]["atomic"] is True
    assert loop["attrs"]["waited_s"] >= 0.04
    if new_loop is asyncio.new_event_loop:
        assert loop["attrs"]["not_turned_s"] >= 0.04
    assert view.needs("innocent") == {"notify", "event_loop"}
    assert view.needs(loop["id"]) == {"main"}
    main_task = view.find("main")
    assert main_task["attrs"]["state"] == "blocked"
    assert main_task["attrs"]["ctx.function"].endswith("<locals>.main")
    assert main_task["attrs"]["stack"][-1].startswith("Condition.wait (")


@contextlib.contextmanager
def turning_host(main, new_loop, ready=None):
    """A loop that never comes to rest."""
    loop = new_loop()
    ready = ready or threading.Event()

    async def run():
        loop.call_later(0.01, ready.set)
        await main()

    def thread():
        with (
            asyncio.Runner(loop_factory=lambda: loop) as runner,
            contextlib.suppress(BaseException),
        ):
            runner.run(named(run()))

    async def named(coroutine):
        asyncio.current_task().set_name("main")
        await coroutine

    host = threading.Thread(target=thread, name="host", daemon=True)
    host.start()
    assert ready.wait(30)
    time.sleep(0.05)
    try:
        yield
    finally:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(lambda: [t.cancel() for t in asyncio.all_tasks(loop)])
        host.join(30)
        assert not host.is_alive()


def test_on_an_interpreter_that_was_not_verified_waits_are_unknown_not_wrong(monkeypatch):
    monkeypatch.setattr("peeps.awaitables.READS_SLOTS", False)
    monkeypatch.setattr("peeps.snapshot.why_unverified", lambda: "Python 9.9 was not verified")

    async def main():
        lock = asyncio.Lock()

        async def hold():
            async with lock:
                await asyncio.Event().wait()

        spawn(hold(), "holder")
        await asyncio.sleep(0.01)
        spawn(hold(), "waiter")

    with asyncio_host(main):
        view = look()
    assert view.chain("waiter") == ["waiter", "future"]
    assert view.find("waiter")["attrs"]["stack"]
    (process,) = view.of_kind("process")
    assert process["attrs"]["unknown"]["insides"] == "Python 9.9 was not verified"


def test_a_task_that_has_not_begun_stands_at_its_first_line():
    began = threading.Event()
    release = threading.Event()

    async def later():
        pass

    async def main():
        spawn(later(), "later")
        began.set()
        release.wait()

    with turning_host(main, asyncio.new_event_loop, began):
        view = look()
        release.set()
    attrs = view.find("later")["attrs"]
    assert attrs["state"] == "runnable"
    assert attrs["ctx.line"] == later.__code__.co_firstlineno
    assert attrs["ctx.function"].endswith("<locals>.later")
