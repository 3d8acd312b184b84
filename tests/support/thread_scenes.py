"""Threads stuck in known ways, and healthy ones that look alike: a program, not a test.

`python thread_scenes.py stuck NAME` sets a scene, looks until the expected edges are there, and
prints what it saw last: a list of "src > dst", nodes told by kind and name. `healthy NAME` looks
many times over and prints all `needs` edges that it ever saw. Standard library only, so that
every Python at hand can run it.
"""

import contextlib
import ctypes
import functools
import itertools
import json
import multiprocessing
import os
import queue
import select
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

forever = threading.Event()
started: list[Any] = []
"""Keeps things alive that nobody else does."""


def thread(name: str, function: Callable[..., object], *args: Any) -> threading.Thread:
    made = threading.Thread(target=function, args=args, name=name, daemon=True)
    made.start()
    return made


# ------------------------------------------------------------------ locks, and how they are held


def lock_order() -> set[str]:
    a, b = threading.Lock(), threading.Lock()
    both = threading.Barrier(2)

    def first() -> None:
        with a:
            both.wait()
            with b:
                pass

    def second() -> None:
        with b:
            both.wait()
            with a:
                pass

    thread("first", first)
    thread("second", second)
    return {"first > lock b", "lock b > second", "second > lock a", "lock a > first"}


class Box:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.table = {"a": threading.Lock()}

    @property
    def computed(self) -> Any:
        return self.table["a"]


def _waiting_for(lock: Any, name: str = "waiter") -> None:
    def wait_for_it() -> None:
        with lock:
            pass

    thread(name, wait_for_it)


def _held(hold: Callable[[], None], lock: str = "lock") -> set[str]:
    """What is seen where `hold` takes a lock, has another thread wait for it, and never ends."""
    thread("holder", hold)
    return {f"waiter > lock {lock}", f"lock {lock} > holder"}


def _held_inside(
    manager: Callable[[], contextlib.AbstractContextManager[None]], lock: threading.Lock
) -> set[str]:
    """What is seen where a context manager that is no lock holds one."""

    def hold() -> None:
        with manager():
            _waiting_for(lock)
            forever.wait()

    return _held(hold)


def held_by_attribute() -> set[str]:
    box = Box()

    def hold() -> None:
        with box.lock:
            _waiting_for(box.lock)
            forever.wait()

    return _held(hold, "box.lock")


def held_by_property() -> set[str]:
    box = Box()

    def hold() -> None:
        with box.computed:
            _waiting_for(box.table["a"])
            forever.wait()

    return _held(hold, "box.computed")


def held_by_finally() -> set[str]:
    lock = threading.Lock()

    def hold() -> None:
        lock.acquire()
        try:
            _waiting_for(lock)
            forever.wait()
        finally:
            lock.release()

    return _held(hold)


def held_by_exit_stack() -> set[str]:
    lock = threading.Lock()

    def hold() -> None:
        with contextlib.ExitStack() as stack:
            stack.enter_context(lock)
            _waiting_for(lock)
            forever.wait()

    return _held(hold)


def held_by_contextmanager() -> set[str]:
    lock = threading.Lock()

    @contextlib.contextmanager
    def locked() -> Iterator[None]:
        with lock:
            yield

    return _held_inside(locked, lock)


def held_by_contextmanager_finally() -> set[str]:
    lock = threading.Lock()

    @contextlib.contextmanager
    def locked() -> Iterator[None]:
        lock.acquire()
        try:
            yield
        finally:
            lock.release()

    return _held_inside(locked, lock)


def rlock_by_owner() -> set[str]:
    lock = threading.RLock()

    def hold() -> None:
        lock.acquire()  # no `with`, no `finally`: the lock itself tells
        _waiting_for(lock)
        forever.wait()

    return _held(hold)


def bare_lock() -> set[str]:
    lock = threading.Lock()
    lock.acquire()
    thread("waiter", lambda: lock.acquire(timeout=1000))
    return {"waiter > lock lock"}


def lock_taken_twice() -> set[str]:
    lock = threading.Lock()

    def twice() -> None:
        with lock, lock:
            pass

    thread("twice", twice)
    return {"twice > lock lock", "lock lock > twice"}


def condition_mutex() -> set[str]:
    condition = threading.Condition()

    def hold() -> None:
        with condition:
            _waiting_for(condition)
            forever.wait()

    return _held(hold, "self._lock")


# ------------------------------------------------------------------ everything else


def condition_wait() -> set[str]:
    condition = threading.Condition()

    def wait_in_it() -> None:
        with condition:
            condition.wait()

    thread("waiter", wait_in_it)
    return {"waiter > condition"}


def semaphore() -> set[str]:
    permits = threading.Semaphore(2)

    def hold() -> None:
        with permits:
            forever.wait()

    thread("one", hold)
    thread("two", hold)
    until(lambda: permits._value == 0)  # type: ignore[attr-defined]
    thread("three", permits.acquire)
    return {"three > semaphore permits", "semaphore permits > one", "semaphore permits > two"}


def event_barrier_join_sleep() -> set[str]:
    target = thread("event", forever.wait)
    thread("barrier", threading.Barrier(2).wait)
    thread("join", target.join)
    thread("sleep", time.sleep, 1000)
    return {"event > notify", "barrier > barrier", "join > event", "sleep > sleep"}


def queues() -> set[str]:
    empty: queue.Queue[int] = queue.Queue()
    full: queue.Queue[int] = queue.Queue(1)
    full.put(1)
    simple: queue.SimpleQueue[int] = queue.SimpleQueue()
    started.extend((empty, full, simple))
    thread("get", empty.get)
    thread("put", full.put, 2)
    thread("join", full.join)
    thread("simple", lambda: simple.get())
    return {"get > queue", "put > queue", "join > queue", "simple > queue simple"}


def time_limits() -> set[str]:
    taken, empty = threading.Lock(), queue.Queue[int]()
    simple: queue.SimpleQueue[int] = queue.SimpleQueue()
    here, there = socket.socketpair()
    here.settimeout(70)
    full = threading.Semaphore(0)
    taken.acquire()
    started.extend((there, taken))
    thread("keyword", lambda: taken.acquire(timeout=10))
    thread("positions", lambda: taken.acquire(True, 20.5))
    thread("nothing", lambda: taken.acquire(True, -1))
    thread("event", forever.wait, 30)
    thread("semaphore", lambda: full.acquire(timeout=40))
    thread("get", lambda: empty.get(timeout=50))
    thread("simple", lambda: simple.get(True, 60))
    thread("recv", lambda: here.recv(1))
    thread("join", lambda: thread("without", forever.wait).join(80))
    thread("result", lambda: Future[None]().result(90))
    return {
        "keyword within 10",
        "positions within 20",
        "event within 30",
        "semaphore within 40",
        "get within 50",
        "simple within 60",
        "recv within 70",
        "join within 80",
        "result within 90",
        "without > notify",
    }


def pool_waits_for_itself() -> set[str]:
    pool = ThreadPoolExecutor(1, thread_name_prefix="pool")
    started.append(pool)

    def outer() -> None:
        pool.submit(print).result()

    outcome = pool.submit(outer)
    thread("caller", outcome.result)
    return {
        "caller > future",
        "future > pool_0",
        "pool_0 > future",
        "future > executor",
        "executor > pool_0",
    }


def waits_for_several_futures() -> set[str]:
    pool = ThreadPoolExecutor(1, thread_name_prefix="pool")
    outcome = pool.submit(forever.wait)
    thread("caller", wait, [outcome])
    return {"caller > future", "future > pool_0"}


def child_process() -> set[str]:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started.append(child)
    thread("wait", child.wait)
    other = subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    started.append(other)
    thread("talk", lambda: (other.stdout.read(), other.wait()))  # type: ignore[union-attr]
    return {"wait > command", "talk is file_op"}


def pipe_full() -> set[str]:
    chatty = [sys.executable, "-S", "-c", "print('x' * 1_000_000)"]
    child = subprocess.Popen(chatty, stdout=subprocess.PIPE)
    started.append(child)
    thread("wait", child.wait)
    quiet = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    started.append(quiet)
    thread("read", quiet.stdout.read)  # type: ignore[union-attr]
    return {"wait > command", "command > rx", "read > rx", "rx > command"}


def multiprocess() -> set[str]:
    context = multiprocessing.get_context("spawn")
    child = context.Process(target=time.sleep, args=(1000,), daemon=True)
    child.start()
    started.append(child)
    items: Any = context.Queue()
    lock = context.Lock()
    lock.acquire()
    ours, theirs = context.Pipe()
    started.extend((items, lock, theirs))
    thread("join", child.join)
    thread("get", items.get)
    thread("recv", ours.recv)

    def take() -> None:
        with lock:
            pass

    thread("lock", take)
    return {"join > command", "get > queue", "recv > rx", "lock > lock"}


def sockets_and_selectors() -> set[str]:
    here, there = socket.socketpair()
    server = socket.create_server(("127.0.0.1", 0))
    read_end, write_end = os.pipe()
    started.extend((there, server, write_end))
    thread("recv", here.recv, 10)
    thread("accept", server.accept)
    thread("select", select.select, [read_end], [], [])
    thread("read", os.read, read_end, 5)
    return {"recv is socket", "accept is net_accept", "select is select", "read is file_op"}


def task_behind_threadsafe() -> set[str]:
    import asyncio

    loop = asyncio.new_event_loop()
    thread("loop", loop.run_forever)

    async def never() -> None:
        await asyncio.Event().wait()

    thread("caller", asyncio.run_coroutine_threadsafe(never(), loop).result)
    return {"caller > future", "future > never"}


def own_loop_result() -> set[str]:
    import asyncio

    async def inner() -> None:
        pass

    async def outer() -> None:
        loop = asyncio.get_running_loop()
        asyncio.run_coroutine_threadsafe(inner(), loop).result()

    thread("loop", lambda: asyncio.run(outer()))
    return {"loop > future", "future > event_loop", "outer > loop"}


# ------------------------------------------------------------------ calls of which nothing is known


def waits_for_database() -> set[str]:
    path = os.path.join(tempfile.mkdtemp(), "test.sqlite")  # noqa: PTH118 - quick to import
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    started.append(writer)

    def write() -> None:
        other = sqlite3.connect(path, timeout=1000, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")

    thread("second", write)
    return {"second is native code"}


def sleeps_in_c() -> set[str]:
    thread("sleeper", lambda: ctypes.CDLL(None).sleep(1000))
    return {"sleeper is native code"}


def called_by_c() -> set[str]:
    items: queue.SimpleQueue[int] = queue.SimpleQueue()
    lock = threading.Lock()
    lock.acquire()

    def iterate() -> None:
        for _ in iter(items.get, None):
            pass

    thread("iterates", iterate)
    thread("maps", lambda: list(map(lock.acquire, (True,))))
    thread("partial", lambda: functools.partial(items.get)())
    return {f"{name} is native code" for name in ("iterates", "maps", "partial")}


STUCK = [
    waits_for_database,
    sleeps_in_c,
    called_by_c,
    lock_order,
    held_by_attribute,
    held_by_property,
    held_by_finally,
    held_by_exit_stack,
    held_by_contextmanager,
    held_by_contextmanager_finally,
    rlock_by_owner,
    bare_lock,
    lock_taken_twice,
    condition_mutex,
    condition_wait,
    semaphore,
    event_barrier_join_sleep,
    queues,
    time_limits,
    pool_waits_for_itself,
    waits_for_several_futures,
    child_process,
    pipe_full,
    multiprocess,
    sockets_and_selectors,
    task_behind_threadsafe,
    own_loop_result,
]

# ------------------------------------------------------------------ healthy look-alikes


def taking_turns() -> None:
    """Two threads, two locks, always in the same order, each for moments only."""
    a, b = threading.Lock(), threading.Lock()

    def work() -> None:
        while True:
            with a, b:
                sum(range(50))

    for name in ("one", "two", "three"):
        thread(name, work)


def uncontended() -> None:
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                sum(range(20))

    thread("alone", work)


def rebound_lock() -> None:
    """What the name means now is not what was entered."""
    box = Box()

    def hold() -> None:
        with box.lock:
            box.lock = threading.Lock()
            forever.wait()

    thread("holder", hold)
    until(lambda: not box.lock.locked())
    box.lock.acquire()
    _waiting_for(box.lock)


def acquire_that_failed() -> None:
    """A `finally` that releases only if the acquire succeeded, and here it did not."""
    lock = threading.Lock()
    lock.acquire()

    def try_it() -> None:
        acquired = lock.acquire(timeout=0.01)
        try:
            forever.wait()
        finally:
            if acquired:
                lock.release()

    thread("tried", try_it)
    _waiting_for(lock)


def acquire_inside_try() -> None:
    """The `finally` stands around the acquire that still waits: nothing is held by it."""
    lock = threading.Lock()
    lock.acquire()

    def take() -> None:
        try:
            lock.acquire()
        finally:
            lock.release()

    thread("taker", take)


def idle_pool() -> None:
    pool = ThreadPoolExecutor(2, thread_name_prefix="pool")
    pool.submit(forever.wait)
    pool.submit(print, end="").result()
    started.append(pool)


def condition_users() -> None:
    """A consumer that waits in a condition does not hold its lock."""
    items: queue.Queue[int] = queue.Queue(2)

    def produce() -> None:
        for number in itertools.count():
            items.put(number)

    def consume() -> None:
        while True:
            items.get()

    thread("producer", produce)
    thread("consumer", consume)


def popen_as_manager() -> None:
    """Having entered a process by `with` is not to hold it."""

    def work() -> None:
        command = [sys.executable, "-S", "-c", "import time; time.sleep(1000)"]
        with subprocess.Popen(command) as child:
            started.append(child)
            child.wait()

    thread("parent", work)


def compute() -> None:
    """Most wait for the interpreter lock at any moment: none of them is stuck."""

    def spin() -> None:
        number = 0
        while True:
            number += 1

    def call() -> None:
        while True:
            sorted(range(1000))

    for n in range(2):
        thread(f"spinner {n}", spin)
    thread("caller", call)


HEALTHY = [
    compute,
    taking_turns,
    uncontended,
    rebound_lock,
    acquire_that_failed,
    acquire_inside_try,
    idle_pool,
    condition_users,
    popen_as_manager,
]

# ------------------------------------------------------------------ looking


def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)


def look() -> list[str]:
    """`needs` edges as "src > dst", and threads' waits as "name is kind"."""
    from peeps.snapshot import snapshot_dict

    graph = snapshot_dict("scene")
    names: dict[str, str] = {}
    seen: list[str] = []
    for node in graph["nodes"]:
        attrs = node["attrs"]
        if node["kind"] == "thread":
            names[node["id"]] = str(node["label"])
            seen.append(f"{node['label']} is {attrs.get('waits_for')}")
            if "timeout_s" in attrs:
                seen.append(f"{node['label']} within {attrs['timeout_s']:.0f}")
        elif node["kind"] == "task":
            names[node["id"]] = attrs["coroutine"].rpartition(".")[2]
        else:
            names[node["id"]] = " ".join(filter(None, (node["kind"], attrs.get("written_as"))))
    for edge in graph["edges"]:
        if edge["kind"] == "needs":
            src, dst = edge["src"], edge["dst"]
            seen.append(f"{names.get(src, src)} > {names.get(dst, dst)}")
    return seen


def main(mode: str, name: str) -> None:
    if os.environ.get("SCENE_WITHOUT_STACKS"):
        from peeps.collectors import frame_values

        frame_values._is_chosen = True
        frame_values.known_calls.refresh()
    scenes = {scene.__name__: scene for scene in (*STUCK, *HEALTHY)}
    expected = scenes[name]() or set()
    seen: set[str] = set()
    if mode == "stuck":

        def is_there() -> bool:
            seen.clear()
            seen.update(look())
            return expected <= seen

        until(is_there, 20.0)
    else:
        for _ in range(25):
            time.sleep(0.01)
            seen.update(look())
    print(json.dumps({"expected": sorted(expected), "seen": sorted(seen)}), flush=True)
    os.close(2)  # the resource tracker complains of what is left behind on purpose
    for child in multiprocessing.active_children():
        child.kill()
    for thing in started:
        if isinstance(thing, subprocess.Popen):
            thing.kill()
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
