"""No code of the host's classes runs in a snapshot: neither theirs nor that of their metaclass."""

import _queue
import asyncio
import contextlib
import queue
import socket
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from peeps.snapshot import snapshot_dict
from tests.support.waiting import wait_until

calls = []


def _note(what):
    """Record who of ours, if anybody, caused a call."""
    frame = sys._getframe(2)
    if "client_agent/peeps/" in frame.f_code.co_filename:
        calls.append((what, frame.f_code.co_filename.rpartition("/")[2], frame.f_lineno))


class Meta(type):
    def __getattribute__(cls, name):
        _note(f"type.{name}")
        return type.__getattribute__(cls, name)

    def __instancecheck__(cls, obj):
        _note("__instancecheck__")
        return type.__instancecheck__(cls, obj)

    def __subclasscheck__(cls, other):
        _note("__subclasscheck__")
        return type.__subclasscheck__(cls, other)

    def __eq__(cls, other):
        _note("type ==")
        return cls is other

    def __hash__(cls):
        _note("hash(type)")
        return id(cls)


class Plain(metaclass=Meta):
    """Only the metaclass looks."""


class Nosy(Plain):
    def __getattribute__(self, name):
        _note(f".{name}")
        return super().__getattribute__(name)

    def __eq__(self, other):
        _note("==")
        return self is other

    def __hash__(self):
        _note("hash")
        return id(self)


def nosy(base, own=Nosy):
    """A subclass of `base` that records whoever looks at it."""
    meta = Meta if type(base) is type else type("Meta", (Meta, type(base)), {})
    return meta(f"Nosy{base.__name__}", (own, base), {})


@pytest.fixture(autouse=True)
def _no_calls():
    calls.clear()
    yield
    calls.clear()


def look_while_waiting(block, unblock):
    """Snapshot while a thread is inside `block`."""
    thread = threading.Thread(target=block, daemon=True)
    thread.start()
    wait_until(lambda: thread.ident in sys._current_frames())
    try:
        for _ in range(3):
            view = snapshot_dict("x")
    finally:
        unblock()
        thread.join(30)
    assert [node for node in view["nodes"] if node["kind"] == "thread"]


def _simple_queue():
    one = nosy(_queue.SimpleQueue)()
    return lambda: one.get(timeout=30), lambda: one.put(1)


def _queue_of_threads():
    one = nosy(queue.Queue)()
    return lambda: one.get(timeout=30), lambda: one.put(1)


def _condition():
    one = nosy(threading.Condition)()

    def wait():
        with one:
            one.wait(30)

    def wake():
        with one:
            one.notify_all()

    return wait, wake


def _event():
    one = nosy(threading.Event)()
    return lambda: one.wait(30), one.set


def _semaphore():
    one = nosy(threading.Semaphore)(0)
    return lambda: one.acquire(timeout=30), one.release


def _thread():
    end = threading.Event()
    one = nosy(threading.Thread)(target=lambda: end.wait(30), daemon=True)
    one.start()
    return one.join, end.set


def _future():
    one = nosy(Future)()
    return lambda: one.result(30), lambda: one.set_result(1)


def _executor():
    end = threading.Event()
    one = nosy(ThreadPoolExecutor)(1)
    futures = [one.submit(end.wait, 30) for _ in range(3)]

    def leave():
        end.set()
        one.shutdown()

    return futures[-1].result, leave


def _socket():
    ours, theirs = socket.socketpair()
    one = nosy(socket.socket, Plain)(fileno=ours.detach())
    one.settimeout(30)

    def leave():
        theirs.sendall(b"x")

    return lambda: (one.recv(1), one.close(), theirs.close()), leave


def _manager():
    class Manager(metaclass=Meta):
        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

    end = threading.Event()

    def hold():
        with Manager(), nosy(contextlib.ExitStack)() as stack:
            stack.enter_context(Manager())
            end.wait(30)

    return hold, end.set


ROLES = [
    _simple_queue,
    _queue_of_threads,
    _condition,
    _event,
    _semaphore,
    _thread,
    _future,
    _executor,
    _socket,
    _manager,
]


@pytest.mark.parametrize("role", ROLES)
def test_no_code_of_a_host_s_class_runs_for_a_thread(role):
    block, unblock = role()
    look_while_waiting(block, unblock)
    assert sorted(set(calls)) == []


class Awaited(metaclass=Meta):
    """Awaitable by an iterator of its own."""

    def __init__(self, future):
        self.future = future

    def __await__(self):
        return Steps(self.future)


class Steps(metaclass=Meta):
    def __init__(self, future):
        self.steps = iter(future.__await__())

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.steps)

    def send(self, value):
        return self.steps.send(value)


def test_no_code_of_a_host_s_class_runs_for_tasks():
    async def main():
        loop = asyncio.get_running_loop()
        end = loop.create_future()
        lock, event = nosy(asyncio.Lock)(), nosy(asyncio.Event)()
        semaphore = nosy(asyncio.Semaphore)(1)
        held = asyncio.Event()

        async def hold():
            async with lock, semaphore:
                held.set()
                await end

        async def enter(one):
            async with one:
                pass

        async def wait(one):
            await one

        waiting = [hold(), enter(lock), enter(semaphore), event.wait(), nosy(asyncio.Queue)().get()]
        waiting += [
            wait(nosy(asyncio.Future, Plain)()),
            wait(Awaited(end)),
            wait(asyncio.shield(end)),
        ]
        waiting += [wait(asyncio.gather(end)), wait(asyncio.wait([end]))]
        tasks = [loop.create_task(one) for one in waiting]
        tasks.append(nosy(asyncio.Task, Plain)(wait(end), loop=loop, name="nosy"))
        await held.wait()
        await asyncio.sleep(0.05)
        calls.clear()
        view = await asyncio.to_thread(snapshot_dict, "x")
        found = sorted(set(calls))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return view, found

    view, found = asyncio.run(main())
    assert len([node for node in view["nodes"] if node["kind"] == "task"]) >= 10
    assert found == []
