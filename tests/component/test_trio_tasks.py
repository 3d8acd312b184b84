"""The trio collector inside this process: real runs in threads."""

import contextlib
import math
import threading
import time

import trio

from tests.support.insides import look


@contextlib.contextmanager
def trio_host(main, settle=0.05):
    """Runs `main(nursery)` in a thread; yields once nothing was scheduled for a moment."""
    ready = threading.Event()
    state = {}

    async def run():
        state["token"] = trio.lowlevel.current_trio_token()
        with trio.CancelScope() as state["scope"]:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(main, nursery, name="main")
                with contextlib.suppress(trio.TooSlowError):
                    with trio.fail_after(1):
                        await trio.testing.wait_all_tasks_blocked(settle)
                ready.set()
                await trio.sleep_forever()

    host = threading.Thread(target=trio.run, args=(run,), name="host", daemon=True)
    host.start()
    assert ready.wait(30)
    time.sleep(0.01)
    try:
        yield state["token"]
    finally:
        state["token"].run_sync_soon(state["scope"].cancel)
        host.join(30)
        assert not host.is_alive()


def start(nursery, function, *args, name):
    nursery.start_soon(function, *args, name=name)


def test_locks_in_opposite_order_are_a_cycle_and_the_owner_is_recorded():
    async def main(nursery):
        a, b = trio.Lock(), trio.Lock()

        async def both(first, second):
            async with first:
                await trio.sleep(0.01)
                async with second:
                    raise AssertionError("not reached")

        start(nursery, both, a, b, name="one")
        start(nursery, both, b, a, name="two")

    with trio_host(main):
        view = look()
    assert view.chain("one", 5) == ["one", "lock", "two", "lock", "one"]
    lock = view.out(view.find("one"))[0]
    (edge,) = [e for e in view.edges if e["src"] == lock["id"]]
    assert "inferred" not in edge["attrs"]


def test_a_bare_acquire_is_told_too():
    async def main(nursery):
        lock = trio.StrictFIFOLock()

        async def hold():
            await lock.acquire()
            await trio.sleep_forever()

        start(nursery, hold, name="holder")
        await trio.sleep(0.01)
        start(nursery, lock.acquire, name="waiter")

    with trio_host(main):
        view = look()
    assert view.chain("waiter") == ["waiter", "lock", "holder", "sleep"]


def test_semaphores_and_limiters_need_those_who_hold_a_slot():
    async def main(nursery):
        semaphore, limiter = trio.Semaphore(1), trio.CapacityLimiter(2)

        async def hold(thing):
            async with thing:
                await trio.sleep_forever()

        start(nursery, hold, semaphore, name="semaphore holder")
        for number in range(2):
            start(nursery, hold, limiter, name=f"borrower {number}")
        await trio.sleep(0.01)
        start(nursery, hold, semaphore, name="semaphore waiter")
        start(nursery, hold, limiter, name="limiter waiter")

    with trio_host(main):
        view = look()
    assert view.chain("semaphore waiter", 3) == [
        "semaphore waiter",
        "semaphore",
        "semaphore holder",
    ]
    (limiter,) = view.out(view.find("limiter waiter"))
    assert view.needs(limiter["id"]) == {"borrower 0", "borrower 1"}
    assert limiter["attrs"]["wait"] == "any"
    assert limiter["attrs"]["total"] == limiter["attrs"]["borrowed"] == 2
    assert "incomplete" not in limiter["attrs"]


def test_conditions_events_and_channels():
    async def main(nursery):
        condition, event = trio.Condition(), trio.Event()
        full_send, full_receive = trio.open_memory_channel(1)
        empty_send, empty_receive = trio.open_memory_channel(0)
        full_send.send_nowait("secret")

        async def wait():
            async with condition:
                await condition.wait()

        async def hold():
            async with condition:
                await trio.sleep_forever()

        start(nursery, wait, name="condition waiter")
        await trio.sleep(0.01)
        start(nursery, hold, name="condition holder")
        await trio.sleep(0.01)
        start(nursery, hold, name="condition blocked")
        start(nursery, event.wait, name="event")
        start(nursery, full_send.send, 1, name="sender")
        start(nursery, empty_receive.receive, name="receiver")
        async with full_receive, empty_send:
            await trio.sleep_forever()

    with trio_host(main):
        view = look()
    assert view.chain("condition waiter") == ["condition waiter", "condition"]
    assert view.chain("condition blocked", 3) == ["condition blocked", "lock", "condition holder"]
    assert view.chain("event") == ["event", "notify"]
    assert view.chain("sender") == ["sender", "tx", "rx"]
    assert view.chain("receiver") == ["receiver", "rx", "tx"]
    sender_end = view.out(view.find("sender"))[0]["attrs"]
    assert (sender_end["maxsize"], sender_end["size"], sender_end["waiting_senders"]) == (1, 1, 1)
    assert "secret" not in str(view.nodes)
    touched = {node["kind"] for node in view.out(view.find("main"), "touches")}
    assert touched == {"rx", "tx"}


def test_the_tree_of_tasks_and_what_a_nursery_waits_for():
    async def main(nursery):
        async def parent():
            async with trio.open_nursery() as inner:
                start(inner, trio.sleep, 1000, name="child")

        start(nursery, parent, name="parent")

    with trio_host(main):
        view = look()
    assert view.chain("parent") == ["parent", "joinset", "child", "sleep"]
    (inner,) = view.out(view.find("parent"), "spawned")
    assert [n["attrs"]["name"] for n in view.out(inner, "spawned")] == ["child"]
    (sleep,) = view.out(view.find("child"))
    assert 0 < sleep["attrs"]["remaining_s"] <= 1000


def test_cancel_scopes_deadlines_and_shields():
    async def main(nursery):
        async def scoped():
            with trio.move_on_after(500):
                with trio.CancelScope(shield=True) as shields[0]:
                    with trio.move_on_after(900):
                        await trio.sleep_forever()

        start(nursery, scoped, name="scoped")

    shields = [None]
    with trio_host(main) as token:
        view = look()
        token.run_sync_soon(setattr, shields[0], "shield", False)
    attrs = view.find("scoped")["attrs"]
    assert attrs["steps"] > 0
    inner, shield, outer = attrs["cancel_scopes"]
    assert 500 < inner["remaining_s"] <= 900
    assert shield == {"remaining_s": None, "shield": True, "cancel_called": False}
    assert 0 < outer["remaining_s"] <= 500
    assert 500 < attrs["timeout_s"] <= 900, "the outer deadline does not reach through the shield"


def test_deadlines_reach_children_and_a_shield_has_its_own():
    """Several of each: from the second or fourth on they are only noted in the cut."""

    async def main(nursery):
        async def event():
            await trio.Event().wait()

        async def shielded(seconds):
            with trio.move_on_after(500), trio.move_on_after(seconds, shield=True) as shield:
                shields.append(shield)
                await event()

        async def limited():
            with trio.move_on_after(600):
                async with trio.open_nursery() as inner:
                    for number in range(6):
                        inner.start_soon(event, name=f"child {number}")

        start(nursery, limited, name="limited")
        for number in range(6):
            nursery.start_soon(shielded, 700, name=f"shield {number}")
            nursery.start_soon(shielded, 400, name=f"short {number}")
            nursery.start_soon(shielded, math.inf, name=f"endless {number}")
            nursery.start_soon(event, name=f"free {number}")

    shields = []

    def unshield():
        for shield in shields:
            shield.shield = False

    with trio_host(main) as token:
        view = look()
        token.run_sync_soon(unshield)

    def limit(name):
        return view.find(name)["attrs"].get("timeout_s")

    for number in range(6):
        assert 500 < limit(f"child {number}") <= 600
        assert 600 < limit(f"shield {number}") <= 700
        assert 300 < limit(f"short {number}") <= 400
        assert limit(f"endless {number}") is None
        assert limit(f"free {number}") is None
        assert view.chain(f"child {number}") == [f"child {number}", "notify"]
        assert view.find(f"free {number}")["attrs"]["steps"] > 0


def test_worker_threads_and_the_limiter_they_exhaust():
    release = threading.Event()

    async def main(nursery):
        limiter = trio.CapacityLimiter(1)

        async def work():
            await trio.to_thread.run_sync(release.wait, limiter=limiter)

        start(nursery, work, name="working")
        await trio.sleep(0.05)
        start(nursery, work, name="queued")

    with trio_host(main):
        view = look()
        release.set()
    assert view.out(view.find("working"))[0]["kind"] == "thread"
    assert view.chain("queued", 3) == ["queued", "semaphore", "working"]


def test_a_wait_for_a_descriptor_names_it():
    async def main(nursery):
        left, right = trio.socket.socketpair()

        async def read():
            with left, right:
                await left.recv(1)

        start(nursery, read, name="reader")

    with trio_host(main):
        view = look()
    assert view.find("reader")["attrs"]["waits_for"] == "net_readable"


def test_a_sleeping_run_is_looked_at_and_not_woken():
    woken = []

    class Watch(trio.abc.Instrument):
        def after_io_wait(self, timeout):
            woken.append(timeout)

    async def main(nursery):
        await trio.sleep_forever()

    with trio_host(main, settle=0.01):
        time.sleep(0.05)
        view = look()
    (loop,) = view.of_kind("event_loop")
    assert loop["attrs"]["cut"] == "parked"
    assert loop["attrs"]["atomic"] is True


def test_a_turning_run_takes_the_cut_itself_and_a_blocked_one_names_the_line():
    release, blocked, turning = threading.Event(), threading.Event(), threading.Event()

    async def run():
        async with trio.open_nursery() as nursery:
            start(nursery, trio.Event().wait, name="innocent")
            end = time.monotonic() + 30
            while not turning.is_set() and time.monotonic() < end:
                await trio.lowlevel.checkpoint()
            blocked.set()
            release.wait()
            nursery.cancel_scope.cancel()

    host = threading.Thread(target=trio.run, args=(run,), name="host", daemon=True)
    host.start()
    time.sleep(0.1)
    (loop,) = (turning_view := look()).of_kind("event_loop")
    assert loop["attrs"]["cut"] == "in_loop"
    assert turning_view.chain("innocent") == ["innocent", "notify"]
    turning.set()
    assert blocked.wait(30)
    view = look()
    release.set()
    host.join(30)
    (loop,) = view.of_kind("event_loop")
    assert loop["attrs"]["cut"] == "blocked"
    assert loop["attrs"]["waited_s"] >= 0.04
    assert view.needs("innocent") == {"notify", "event_loop"}
    (running,) = view.out(loop)
    assert running["attrs"]["state"] == "blocked"
    assert running["attrs"]["ctx.function"].endswith(".run")
    assert running["attrs"]["stack"][-1].startswith("Condition.wait (")


def test_guest_mode_is_seen_although_no_frame_shows_it():
    import asyncio

    async def trio_main():
        await trio.Event().wait()

    async def asyncio_main(ready, done):
        loop = asyncio.get_running_loop()
        ended = loop.create_future()
        scope = {}

        async def cancellable():
            with trio.CancelScope() as scope["scope"]:
                await trio_main()

        trio.lowlevel.start_guest_run(
            cancellable,
            run_sync_soon_threadsafe=loop.call_soon_threadsafe,
            done_callback=lambda outcome: ended.set_result(None),
            host_uses_signal_set_wakeup_fd=True,
        )
        await asyncio.sleep(0.1)
        ready.set()
        await asyncio.to_thread(done.wait)
        scope["scope"].cancel()
        await ended

    ready, done = threading.Event(), threading.Event()
    host = threading.Thread(
        target=lambda: asyncio.run(asyncio_main(ready, done)), name="host", daemon=True
    )
    host.start()
    assert ready.wait(30)
    view = look()
    done.set()
    host.join(30)
    names = {node["attrs"]["coroutine"] for node in view.of_kind("task")}
    assert any(name.endswith("cancellable") for name in names)


def test_the_socket_by_which_trio_wakes_itself_is_no_connection():
    async def main(nursery):
        start(nursery, trio.sleep_forever, name="sleeps")

    with trio_host(main):
        view = look()
    waker = view.find("<TrioToken.run_sync_soon task>")
    assert not [
        edge for edge in view.edges if edge["dst"] == waker["id"] and "socket" in edge["src"]
    ]
    assert "socket" not in [node["kind"] for node in view.out(waker)]
