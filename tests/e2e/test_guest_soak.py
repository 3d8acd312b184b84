"""Minutes of snapshots as fast as they come, in hosts that churn: no crash, no answer missing.

What the agent reads of a running interpreter can kill the process if it is read wrongly; these
runs are where that would show. Threads switch every microsecond in them.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import guests
from tests.support.fake_daemon import FakeDaemon
from tests.support.guests import VERSIONS, Guest

from .test_guest_manners import end, write

SOAK_S = 30.0
QUICK_S = 1.0

START = """
import sys, threading
sys.setswitchinterval(1e-6)
"""

ASYNCIO = """
import asyncio, contextlib, random

async def deep(n, lock, queue):
    if n:
        async with asyncio.timeout(5):
            return await deep(n - 1, lock, queue)
    async with lock:
        await asyncio.sleep(0)
    await queue.put(n)
    return await queue.get()

async def generate():
    for n in range(5):
        await asyncio.sleep(0)
        yield n

async def churn(lock, queue):
    while not stop():
        async with asyncio.TaskGroup() as group:
            for _ in range(random.randrange(1, 20)):
                group.create_task(deep(random.randrange(6), lock, queue))
        async for _ in generate():
            pass
        await asyncio.gather(*(asyncio.to_thread(sum, range(1000)) for _ in range(3)))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 0.001)

async def echo(reader, writer):
    while data := await reader.read(100):
        writer.write(data)
        await writer.drain()
    writer.close()

async def talk(address):
    while not stop():
        reader, writer = await asyncio.open_connection(*address)
        for _ in range(20):
            writer.write(b"x" * 50)
            await reader.readexactly(50)
        writer.close()

async def main():
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    lock, queue = asyncio.Lock(), asyncio.Queue(3)
    print("ready", flush=True)
    churning = [churn(lock, queue) for _ in range(4)]
    await asyncio.gather(*churning, *(talk(address) for _ in range(3)))
    server.close()
"""

PROGRAMS = {
    "asyncio": START + ASYNCIO + "\nasyncio.run(main())\n",
    "uvloop": START + ASYNCIO + "\nimport uvloop\nuvloop.run(main())\n",
    "trio": START
    + """
import random, trio

async def deep(n, lock, limiter):
    if n:
        with trio.move_on_after(5):
            return await deep(n - 1, lock, limiter)
    async with lock, limiter:
        await trio.lowlevel.checkpoint()

async def churn(lock, limiter, send, receive):
    while not stop():
        async with trio.open_nursery() as nursery:
            for _ in range(random.randrange(1, 20)):
                nursery.start_soon(deep, random.randrange(6), lock, limiter)
            nursery.start_soon(send.send, 1)
            await receive.receive()
        await trio.to_thread.run_sync(sum, range(1000))
        await trio.to_thread.run_sync(trio.from_thread.run, trio.sleep, 0)

async def main():
    lock, limiter = trio.Lock(), trio.CapacityLimiter(2)
    send, receive = trio.open_memory_channel(0)
    print("ready", flush=True)
    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(churn, lock, limiter, send, receive)

trio.run(main)
""",
    "threading": START
    + """
import queue, random, socket
from concurrent.futures import ThreadPoolExecutor

locks = [threading.Lock() for _ in range(4)] + [threading.RLock() for _ in range(2)]
condition = threading.Condition()
jobs = queue.Queue(5)

def nest(order):
    if order:
        with order[0]:
            nest(order[1:])

def work():
    left, right = socket.socketpair()
    while not stop():
        nest(sorted(random.sample(locks, 3), key=id))
        with condition:
            condition.notify()
            condition.wait(0.001)
        try:
            jobs.put(1, timeout=0.001)
            jobs.get(timeout=0.001)
        except (queue.Full, queue.Empty):
            pass
        left.send(b"x")
        right.recv(1)
        thread = threading.Thread(target=nest, args=(locks[:1],))
        thread.start()
        thread.join()

def submit():
    with ThreadPoolExecutor(3) as pool:
        while not stop():
            list(pool.map(sum, [range(100)] * 5))

threads = [threading.Thread(target=work) for _ in range(5)] + [threading.Thread(target=submit)]
for thread in threads:
    thread.start()
print("ready", flush=True)
for thread in threads:
    thread.join()
""",
}


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    with FakeDaemon() as daemon:
        yield daemon


@pytest.mark.parametrize(
    "seconds", [pytest.param(SOAK_S, marks=pytest.mark.soak, id="soak"), pytest.param(QUICK_S)]
)
@pytest.mark.parametrize("library", PROGRAMS)
@pytest.mark.parametrize("version", VERSIONS)
def test_churn(
    version: str, library: str, seconds: float, daemon: FakeDaemon, tmp_path: Path
) -> None:
    if guests.guest_python(version) is None or not guests.can_import(version, library):
        pytest.skip(f"no Python {version} with {library} on this machine")
    arguments = ["-X", "faulthandler", write(tmp_path, PROGRAMS[library])]
    with Guest(arguments, daemon.dashboard, version, cwd=tmp_path) as guest:
        guest.wait_for_line("ready")
        daemon.wait_for(1)
        stop_at, answers, nodes = time.monotonic() + seconds, 0, 0
        while time.monotonic() < stop_at:
            replies = daemon.snapshot(60.0)
            assert len(replies) == 1, guest.describe()
            assert replies[0]["graph"], replies
            answers += 1
            nodes += len(replies[0]["graph"]["nodes"])
        assert answers
        assert nodes > 3 * answers
        end(tmp_path)
        assert guest.wait(120.0) == 0, guest.describe()
        assert guest.errors == ""
