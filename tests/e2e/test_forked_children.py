"""What a forked child says of the loops, tasks, locks and connections of its parent."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import guests
from tests.support.fake_daemon import FakeDaemon
from tests.support.guests import Guest
from tests.support.pictures import Box, Picture
from tests.support.waiting import wait_until

ASYNCIO = """
import asyncio, multiprocessing, os, socket, sys, threading, time, warnings
from concurrent.futures import ProcessPoolExecutor

warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside the program's own threads
context = multiprocessing.get_context("fork")

async def hold(first, second):
    async with first:
        await asyncio.sleep(0.01)
        async with second:
            pass

def deadlock():
    one, two = asyncio.Lock(), asyncio.Lock()
    rent = asyncio.create_task(hold(one, two), name="rent")
    return rent, asyncio.create_task(hold(two, one), name="salary")
"""

POOL = """
async def main():
    pool = ProcessPoolExecutor(2, mp_context=context)
    held = deadlock()
    await asyncio.get_running_loop().run_in_executor(pool, time.sleep, 0.1)
    print("ready", flush=True)
    await asyncio.wait(held)
"""

PROCESSES = """
async def main():
    held = deadlock()
    await asyncio.sleep(0.1)
    for _ in range(2):
        context.Process(target=time.sleep, args=(1000,), daemon=True).start()
    print("ready", flush=True)
    await asyncio.wait(held)
"""

FROM_A_THREAD = """
async def main():
    held = deadlock()
    await asyncio.sleep(0.1)
    for _ in range(2):
        child = context.Process(target=time.sleep, args=(1000,), daemon=True)
        await asyncio.to_thread(child.start)
    print("ready", flush=True)
    await asyncio.wait(held)
"""

BY_HAND = """
def fork():
    return os.fork()

def begin():
    if fork() == 0:
        time.sleep(1000)

async def main():
    held = deadlock()
    await asyncio.sleep(0.1)
    for _ in range(2):
        begin()
    print("ready", flush=True)
    await asyncio.wait(held)
"""

RUN = "asyncio.run(main())\n"
LOOP_ALONE = "asyncio.new_event_loop().run_until_complete(main())\n"
UVLOOP = "import uvloop\nuvloop.install()\nasyncio.run(main())\n"
UVLOOP_ALONE = "import uvloop\nloop = uvloop.new_event_loop()\nloop.run_until_complete(main())\n"

TRIO = """
import multiprocessing, os, time, trio

context = multiprocessing.get_context("fork")

async def hold(first, second):
    async with first:
        await trio.sleep(0.01)
        async with second:
            pass

async def main():
    one, two = trio.Lock(), trio.Lock()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hold, one, two, name="rent")
        nursery.start_soon(hold, two, one, name="salary")
        await trio.sleep(0.1)
        for _ in range(2):
            context.Process(target=time.sleep, args=(1000,), daemon=True).start()
        print("ready", flush=True)

trio.run(main)
"""


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    with FakeDaemon() as daemon:
        yield daemon


@pytest.fixture
def run(daemon: FakeDaemon, version: str, tmp_path: Path) -> Iterator[Callable[[str], Guest]]:
    """Starts a program with the agent in it; it is there when it has said so."""
    started: list[Guest] = []

    def run(program: str) -> Guest:
        for library in ("trio", "uvloop"):
            if f"import {library}" in program and not guests.can_import(version, library):
                pytest.skip(f"{library} cannot be imported by Python {version}")
        path = tmp_path / "program.py"
        path.write_text(program)
        guest = Guest([str(path)], daemon.dashboard, version, cwd=tmp_path)
        started.append(guest.__enter__())
        guest.wait_for_line("ready")
        return guest

    yield run
    for guest in started:
        guest.__exit__(None, None, None)


def look(daemon: FakeDaemon, parent: int, count: int) -> tuple[Picture, list[Picture]]:
    """What the parent says, and its children, when so many processes have answered."""
    daemon.wait_for(count)
    replies = daemon.snapshot()
    assert len(replies) == count
    assert [reply.get("error") for reply in replies] == [None] * count
    children = [Picture.of_replies([reply]) for reply in replies if reply["pid"] != parent]
    return Picture.of_replies(r for r in replies if r["pid"] == parent), children


def of_kind(picture: Picture, kind: str) -> list[Box]:
    return [box for box in picture.nodes.values() if box.kind == kind]


def says_nothing_of_its_parent(child: Picture) -> None:
    """A child that sleeps: a thread, and neither loops nor tasks nor what they wait for."""
    assert of_kind(child, "event_loop") == [], str(child)
    assert of_kind(child, "task") == [], str(child)
    (process,) = of_kind(child, "process")
    assert process.attrs["inherited_loops"] == 1
    (thread,) = of_kind(child, "thread")
    assert len(thread.attrs["stack"]) > 3, "the whole stack is shown all the same"


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(ASYNCIO + POOL + RUN, id="pool"),
        pytest.param(ASYNCIO + PROCESSES + RUN, id="processes"),
        pytest.param(ASYNCIO + FROM_A_THREAD + RUN, id="from-a-thread"),
        pytest.param(ASYNCIO + BY_HAND + RUN, id="by-hand"),
        pytest.param(ASYNCIO + POOL + LOOP_ALONE, id="loop-alone"),
        pytest.param(ASYNCIO + POOL + UVLOOP, id="uvloop"),
        pytest.param(ASYNCIO + POOL + UVLOOP_ALONE, id="uvloop-alone"),
        pytest.param(TRIO, id="trio"),
    ],
)
def test_a_deadlock_is_the_parents_alone(
    program: str, daemon: FakeDaemon, run: Callable[[str], Guest]
) -> None:
    guest = run(program)
    parent, children = look(daemon, guest.pid, 3)
    circle = [["task", "rent"], ["lock"], ["task", "salary"], ["lock"]]
    assert parent.find(circle, closes=True), str(parent)
    assert len(of_kind(parent, "event_loop")) == 1
    for child in children:
        says_nothing_of_its_parent(child)


GOES_ON = """
async def main():
    loop = asyncio.get_running_loop()
    ticks = asyncio.create_task(asyncio.Event().wait(), name="bystander")
    await asyncio.sleep(0)
    if os.fork() == 0:
        asyncio._set_running_loop(loop)  # which a fork resets
        await asyncio.sleep(0.01)
    print("ready", flush=True)
    while True:
        await asyncio.sleep(0.01)
"""

TRIO_GOES_ON = """
import os, trio

async def main():
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep_forever, name="bystander")
        await trio.sleep(0.01)
        if os.fork() == 0:
            await trio.sleep(0.01)
        print("ready", flush=True)
        while True:
            await trio.sleep(0.01)

trio.run(main)
"""


@pytest.mark.parametrize(
    "program", [ASYNCIO + GOES_ON + RUN, TRIO_GOES_ON], ids=["asyncio", "trio"]
)
def test_a_child_that_goes_on_with_the_loop_shows_its_tasks(
    program: str, daemon: FakeDaemon, run: Callable[[str], Guest]
) -> None:
    guest = run(program)

    def is_shown() -> bool:
        pictures = [*look(daemon, guest.pid, 2)[1]]
        return all(
            [box.attrs["cut"] != "blocked" for box in of_kind(picture, "event_loop")] == [True]
            and any("bystander" in box.words for box in of_kind(picture, "task"))
            for picture in pictures
        )

    wait_until(is_shown, "the child's tasks are shown")


OWN_LOOP = """
async def serve():
    await asyncio.Event().wait()

def child():
    asyncio.run(serve())

async def main():
    held = deadlock()
    await asyncio.sleep(0.1)
    context.Process(target=child, daemon=True).start()
    print("ready", flush=True)
    await asyncio.wait(held)
"""


def test_a_loop_of_the_childs_own_is_shown(daemon: FakeDaemon, run: Callable[[str], Guest]) -> None:
    guest = run(ASYNCIO + OWN_LOOP + RUN)

    def has_its_own() -> bool:
        (child,) = look(daemon, guest.pid, 2)[1]
        loops = [box.attrs["cut"] for box in of_kind(child, "event_loop")]
        tasks = [box.attrs["coroutine"] for box in of_kind(child, "task")]
        return (loops, tasks) == (["parked"], ["serve"])

    wait_until(has_its_own, "the child shows its own loop alone")


CONNECTIONS = """
async def serve(reader, writer):
    await asyncio.sleep(1000)
    writer.close()

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    waits = asyncio.create_task(reader.read(), name="reader")
    await asyncio.sleep(0.1)
    context.Process(target=time.sleep, args=(1000,), daemon=True).start()
    print("ready", flush=True)
    await waits
    writer.close()
"""


def test_connections_that_a_child_does_not_use_are_its_parents(
    daemon: FakeDaemon, run: Callable[[str], Guest]
) -> None:
    guest = run(ASYNCIO + CONNECTIONS + RUN)
    parent, (child,) = look(daemon, guest.pid, 2)
    assert len(of_kind(parent, "socket")) >= 2
    assert of_kind(child, "socket") == [], str(child)


SERVES = """
listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
accepted, _ = listener.accept()

def serve(connection):
    if os.fork() == 0:
        connection.recv(1)

serve(accepted)
print("ready", flush=True)
time.sleep(1000)
"""


def test_a_connection_that_a_child_uses_is_claimed(
    daemon: FakeDaemon, run: Callable[[str], Guest]
) -> None:
    guest = run(ASYNCIO + SERVES)

    def waits() -> bool:
        (child,) = look(daemon, guest.pid, 2)[1]
        return child.find([["thread", "serve"], ["socket"]]) is not None

    wait_until(waits, "the child waits for its connection")


LOCKS = """
own, shared = threading.Lock(), context.Lock()

def child(lock):
    with lock:
        pass

with own, shared:
    for lock in (own, shared):
        context.Process(target=child, args=(lock,), daemon=True).start()
    print("ready", flush=True)
    time.sleep(1000)
"""


def test_a_lock_held_over_a_fork(daemon: FakeDaemon, run: Callable[[str], Guest]) -> None:
    """The child's copy of a threading lock will never be released; a shared lock will be."""
    guest = run(ASYNCIO + LOCKS)

    def are_told_apart() -> bool:
        _, children = look(daemon, guest.pid, 3)
        circle = [["thread", "child"], ["lock"]]
        closed = [child.find(circle, closes=True) is not None for child in children]
        waits = [child.find(circle) is not None for child in children]
        return sorted(closed) == [False, True] and waits == [True, True]

    wait_until(are_told_apart, "one child is deadlocked and the other waits for its parent")
