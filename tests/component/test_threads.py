"""Looking at threads leaves them as they were."""

import queue
import sys
import threading
import weakref
from concurrent.futures import Future
from typing import Any

import pytest

from peeps.collectors.executors import _queued
from peeps.snapshot import snapshot_dict


class Thing:
    died_in: list[int]

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.died_in = []

    def __del__(self) -> None:
        self.died_in.append(threading.get_ident())


def test_what_a_thread_deletes_dies_there_and_then() -> None:
    """A dictionary left on the frame by `f_locals` would keep it alive until the function ends."""
    seen, deleted, done = threading.Event(), threading.Event(), threading.Event()
    references: list[Any] = []

    def work() -> None:
        thing = Thing()
        references.extend([weakref.ref(thing), thing.died_in])
        with thing.lock:
            started.set()
            seen.wait()
        del thing
        deleted.set()
        done.wait()

    started = threading.Event()
    thread = threading.Thread(target=work, name="worker")
    thread.start()
    started.wait()
    graph = {}
    for _ in range(3):
        graph = snapshot_dict("test")
    locks = [n for n in graph["nodes"] if n["attrs"].get("written_as") == "thing.lock"]
    assert len(locks) == 1, "the lock was found, so the frame was read"
    seen.set()
    deleted.wait()
    assert references[0]() is None
    assert references[1] == [thread.ident]
    done.set()
    thread.join()


def test_no_trace_function_no_profile_no_thread_is_left_behind() -> None:
    before = (sys.gettrace(), sys.getprofile(), threading.active_count(), sys.getswitchinterval())
    snapshot_dict("test")
    after = (sys.gettrace(), sys.getprofile(), threading.active_count(), sys.getswitchinterval())
    assert after == before


class _WorkItem:
    def __init__(self, number: int) -> None:
        self.number = number
        self.future: Future[None] = Future()


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_a_simple_queue_is_read_without_taking_from_it(taken: int) -> None:
    items: Any = queue.SimpleQueue()
    for number in range(5):
        items.put(_WorkItem(number))
    for _ in range(taken):
        items.get()
    items.put(None)  # how an executor wakes its workers at the end
    assert [item.number for item in _queued(items)] == list(range(taken, 5))
    assert items.qsize() == 6 - taken


def test_a_hook_that_fails_costs_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    from peeps.collectors.sockets import Sockets

    def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(Sockets, "_see_thread", fail)
    done = threading.Event()
    thread = threading.Thread(target=done.wait, name="waiting")
    thread.start()
    try:
        graph = snapshot_dict("test")
    finally:
        done.set()
        thread.join()
    (node,) = (n for n in graph["nodes"] if n["attrs"].get("name") == "waiting")
    assert node["attrs"]["waits_for"] == "notify"
