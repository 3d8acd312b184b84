import asyncio
import multiprocessing.queues
import queue
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import _SafeQueue

import anyio
import pytest
import trio

from peeps.cut import Cut
from peeps.resources import attribute_reader, columns_of, read_column, rlock_owner, shape_of


class MyLock(asyncio.Lock):
    pass


send, receive = trio.open_memory_channel(3)
asend, areceive = anyio.create_memory_object_stream(2)
asend.close()
areceive.close()
taken = threading.Lock()
taken.acquire()


@pytest.mark.parametrize(
    ("obj", "kind", "attrs"),
    [
        (MyLock(), "lock", {"locked": False, "waiters": 0}),
        (asyncio.Semaphore(2), "semaphore", {"value": 2, "waiters": 0}),
        (asyncio.BoundedSemaphore(2), "semaphore", {"value": 2, "waiters": 0}),
        (asyncio.Event(), "notify", {"set": False, "waiters": 0}),
        (asyncio.Barrier(3), "barrier", {"parties": 3, "arrived": 0}),
        (threading.Condition(), "condition", {"waiters": 0}),
        (threading.Semaphore(4), "semaphore", {"value": 4}),
        (threading.Event(), "notify", {"set": False}),
        (taken, "lock", {"locked": True}),
        (queue.Queue(5), "queue", {"maxsize": 5, "size": 0, "unfinished": 0}),
        (queue.LifoQueue(), "queue", {"maxsize": 0, "size": 0, "unfinished": 0}),
        (queue.SimpleQueue(), "queue", {}),
        (Future(), "future", {"future_state": "PENDING"}),
        (trio.Lock(), "lock", {"waiters": 0}),
        (trio.Semaphore(1), "semaphore", {"value": 1, "waiters": 0}),
        (trio.CapacityLimiter(1), "semaphore", {"total": 1, "borrowed": 0, "waiters": 0}),
        (trio.Condition(), "condition", {"waiters": 0}),
        (send, "tx", {"maxsize": 3, "size": 0, "open_senders": 1, "open_receivers": 1}),
        (areceive, "rx", {"maxsize": 2, "size": 0, "open_senders": 0, "open_receivers": 0}),
    ],
)
def test_kinds_and_counts(obj, kind, attrs):
    shape = shape_of(obj)
    assert shape is not None
    assert shape.kind == kind
    found = attribute_reader(type(obj), shape)(obj)
    assert attrs.items() <= found.items()


class MyQueue(multiprocessing.queues.JoinableQueue):
    pass


@pytest.mark.parametrize(
    ("obj", "is_shared"),
    [
        (object.__new__(MyQueue), True),
        (object.__new__(_SafeQueue), True),  # of an executor, in another package
        (object.__new__(multiprocessing.queues.SimpleQueue), True),  # of a kind without a row
        (queue.Queue(), False),
        (asyncio.Queue(), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_processes_share_says_so(obj, is_shared):
    cut = Cut()
    cut.resource(obj, "queue")
    described = cut.facts.described[id(obj)]
    assert described.attrs.get("shared", False) is is_shared


def test_an_asyncio_queue_tells_its_counts_and_never_its_contents():
    items = asyncio.Queue(3)
    items.put_nowait("secret")
    found = attribute_reader(type(items), shape_of(items))(items)
    assert found["size"] == 1
    assert found["maxsize"] == 3
    assert "secret" not in str(found)


def test_an_rlock_tells_its_owner_by_its_repr_only():
    lock = threading.RLock()
    assert rlock_owner(lock) == (None, 0)
    with lock, lock:
        assert rlock_owner(lock) == (threading.get_ident(), 2)
        assert attribute_reader(type(lock), shape_of(lock))(lock) == {"locked": True, "count": 2}


@pytest.mark.parametrize("obj", [object(), 1, "x", None, len, asyncio])
def test_other_objects_are_no_resources(obj):
    assert shape_of(obj) is None
    assert Cut().resource(obj) is None


def test_host_code_is_never_run():
    class Nosy(threading.Event):
        @property
        def _flag(self):
            raise AssertionError("the host's property was called")

        @_flag.setter
        def _flag(self, value):
            pass

        def __getattr__(self, name):
            raise AssertionError("the host's __getattr__ was called")

        def __repr__(self):
            raise AssertionError("the host's __repr__ was called")

        def __eq__(self, other):
            raise AssertionError("the host's __eq__ was called")

        __hash__ = None

    cut = Cut()
    nosy = Nosy()
    assert cut.resource(nosy) == ("notify", id(nosy))
    (described,) = cut.facts.described.values()
    assert described.attrs == {}


def test_one_object_is_one_resource_and_its_given_name_is_its_label():
    lock = asyncio.Lock()
    cut = Cut({id(lock): "orders"})
    assert cut.resource(lock) == cut.resource(lock, "something") == ("lock", id(lock))
    (described,) = cut.facts.described.values()
    assert described.label == "orders"
    assert described.type_name == "asyncio.locks.Lock"
    assert cut.resource(object(), "rx")[0] == "rx"


def test_a_child_process_is_known_by_its_pid_whoever_meets_it():
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        assert Cut().resource(child) == ("command", f"pid-{child.pid}")


def test_executors_tell_their_workers():
    with ThreadPoolExecutor(3) as executor:
        executor.submit(int).result()
        found = attribute_reader(type(executor), shape_of(executor))(executor)
    assert found == {"max_workers": 3, "workers": 1}


def by_columns(objects):
    cls = type(objects[0])
    columns = columns_of(cls, shape_of(objects[0]))
    return [(column.name, read_column(column, objects)) for column in columns]


@pytest.mark.parametrize(
    "make", [asyncio.Lock, asyncio.Event, asyncio.Queue, asyncio.Condition, trio.Event]
)
def test_many_at_once_say_what_each_says(make):
    objects = [make() for _ in range(3)]
    read = attribute_reader(make, shape_of(objects[0]))
    columns = by_columns(objects)
    for index, obj in enumerate(objects):
        assert {name: values[index] for name, values in columns} == read(obj)


def test_waiters_that_are_there_and_those_that_never_were_are_counted():
    used, fresh = asyncio.Lock(), asyncio.Lock()
    used._waiters = [1, 2]
    assert dict(by_columns([used, fresh]))["waiters"] == [2, 0]


def test_attributes_of_another_version_are_left_out():
    first, second = asyncio.Event(), asyncio.Event()
    second._waiters = "of another form"
    del first._value
    assert dict(by_columns([first, second])) == {"set": None, "waiters": None}


@pytest.mark.parametrize("obj", [MyLock(), trio.Lock(), trio.CapacityLimiter(1), anyio.Event()])
def test_what_says_more_than_numbers_is_read_one_by_one(obj):
    assert columns_of(type(obj), shape_of(obj)) is None


def test_described_at_once_or_one_by_one_is_the_same():
    events = [asyncio.Event() for _ in range(3)]
    cut, single = Cut({id(events[1]): "ready"}), Cut({id(events[1]): "ready"})
    cut.expect_many(asyncio.Event)
    cut.many[id(asyncio.Event)] += [*events, events[0]]
    cut.describe_many()
    refs = [single.resource(event) for event in events]
    cut.facts.settle()
    assert [cut.facts.ref_of(id(event)) for event in events] == refs
    assert list(cut.facts.each_described(cut.names)) == list(single.facts.described.values())
    assert cut.many == {}
