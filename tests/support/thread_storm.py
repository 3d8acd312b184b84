"""Threads that do everything at once while they are looked at: a program, not a test.

`python thread_storm.py SECONDS` ends with status 0 and prints how many looks it took; whoever
reads memory that is not there any more ends otherwise. Standard library only.
"""

import contextlib
import gc
import queue
import random
import socket
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

locks = [threading.Lock() for _ in range(4)]
rlock = threading.RLock()
condition = threading.Condition()
items: queue.Queue[object] = queue.Queue(3)
simple: queue.SimpleQueue[object] = queue.SimpleQueue()
ended = threading.Event()


class Dies:
    """Runs code, and lets go of the interpreter lock, when it is freed."""

    def __del__(self) -> None:
        time.sleep(0)


@contextlib.contextmanager
def both(a: Any, b: Any) -> Iterator[None]:
    with a:
        b.acquire()
        try:
            yield
        finally:
            b.release()


def work_with_locks() -> None:
    a, b = locks[0], locks[1]
    with a, b:
        pass
    with both(locks[2], locks[3]), contextlib.ExitStack() as stack:
        stack.enter_context(rlock)
    with contextlib.suppress(ValueError), rlock:
        raise ValueError(Dies())


def work_with_queues() -> None:
    # No time-out with several consumers: up to 3.12 such a get may never return.
    simple.put(Dies())
    with contextlib.suppress(queue.Empty):
        simple.get(block=False)
    with contextlib.suppress(queue.Full, queue.Empty):
        items.put(Dies(), timeout=0.001)
        items.get(timeout=0.001)
    with condition:
        condition.notify()
        condition.wait(0.0001)


def work_with_sockets() -> None:
    here, there = socket.socketpair()
    with here, there:
        there.send(b"x")
        here.recv(1)
        here.settimeout(0.0001)
        with contextlib.suppress(TimeoutError):
            here.recv(1)
    with contextlib.suppress(OSError):
        socket.socket().recv(1)  # raises inside the call, and frees the socket


def work_with_calls() -> None:
    [Dies()].index(random.random()) if random.random() < 0 else None
    with contextlib.suppress(ValueError):
        [Dies(), Dies()].index(Dies())
    getattr(threading.Lock(), "acquire")()  # noqa: B009
    sorted([Dies(), Dies()], key=id)
    for number in range(30):
        str(number)
    list(generator(5))
    threading.Thread(target=str).start()


def generator(depth: int) -> Iterator[int]:
    with rlock if random.random() < 0.5 else contextlib.nullcontext():
        yield depth
    if depth:
        yield from generator(depth - 1)


def forever(*works: Any) -> None:
    while not ended.is_set():
        random.choice(works)()


def main(seconds: float) -> None:
    from peeps.snapshot import snapshot_dict

    sys.setswitchinterval(1e-6)
    works = [work_with_locks, work_with_queues, work_with_sockets, work_with_calls]
    threads = [threading.Thread(target=forever, args=works) for _ in range(4)]
    threads += [threading.Thread(target=forever, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    end = time.monotonic() + seconds
    looks = 0
    while time.monotonic() < end:
        graph = snapshot_dict("storm")
        (process,) = (n for n in graph["nodes"] if n["kind"] == "process")
        problems = process["attrs"].get("problems", {})
        assert "threads" not in problems, problems
        looks += 1
        if looks % 50 == 0:
            gc.collect()
    sys.setswitchinterval(0.005)
    ended.set()
    for thread in threads:
        thread.join()
    print("looks", looks, flush=True)


if __name__ == "__main__":
    main(float(sys.argv[1]))
