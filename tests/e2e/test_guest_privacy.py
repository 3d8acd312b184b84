"""No value of a variable, argument, environment or command line ever leaves the process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import guests
from tests.support.fake_daemon import FakeDaemon
from tests.support.guests import Guest

PROGRAM = '''
import asyncio, contextvars, os, queue, socket, subprocess, sys, threading, time
from concurrent.futures import ThreadPoolExecutor

SECRET = "canary-global"
context = contextvars.ContextVar("c", default="canary-context")

class Account:
    """canary-docstring"""
    password = "canary-class"
    def __init__(self):
        self.token = "canary-instance"
        self.lock = asyncio.Lock()
    def __repr__(self):
        print("canary-repr-was-called", flush=True)
        return "canary-repr"
    __str__ = __repr__
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        print("canary-getattr-was-called", name, flush=True)
        raise AttributeError(name)
    def __eq__(self, other):
        print("canary-eq-was-called", flush=True)
        return NotImplemented
    def __hash__(self):
        return 1
    async def login(self, password, *args, **kwargs):
        local = "canary-local"
        async with self.lock:
            return await self.answer(password, {"canary-key": ["canary-item"]})
    async def answer(self, password, mapping):
        future = asyncio.get_running_loop().create_future()
        waiters.append(future)
        return await future
    def block(self, secret="canary-default", *, lock):
        frame_local = b"canary-bytes"
        with lock:
            pass

class Session(str):
    pass

waiters = []

def reader(messages):
    value = "canary-thread-local"
    messages.get()

async def fail():
    raise ValueError("canary-exception")

async def main():
    account = Account()
    loop = asyncio.get_running_loop()
    lock = threading.Lock()
    lock.acquire()
    messages = queue.Queue()
    full = asyncio.Queue(1)
    full.put_nowait("canary-queued")
    left, right = socket.socketpair()
    left.send(b"canary-on-the-wire")
    left.setblocking(False)
    pool = ThreadPoolExecutor(1)
    failed = asyncio.create_task(fail())
    await asyncio.wait([failed])
    child = subprocess.Popen(["sleep", "3600"], env={"X": "canary-child-env", **os.environ})
    other = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", "sleep 3600 # canary-child-argument")
    tasks = [
        asyncio.create_task(account.login("canary-argument", "canary-star", k="canary-keyword")),
        asyncio.create_task(account.login(Session("canary-subclass"))),
        asyncio.create_task(full.put("canary-put")),
        asyncio.create_task(asyncio.sleep(3600, "canary-result")),
        asyncio.create_task(asyncio.wait_for(asyncio.Event().wait(), 3600)),
        asyncio.create_task(other.wait()),
        asyncio.ensure_future(loop.run_in_executor(pool, child.wait)),
        asyncio.ensure_future(loop.sock_recv(left, 10)),
    ]
    threading.Thread(target=reader, args=(messages,), daemon=True).start()
    threading.Thread(target=account.block, kwargs={"lock": lock}, daemon=True).start()
    threading.Thread(target=messages.get, args=(True, 3600), daemon=True).start()
    print("ready", flush=True)
    await asyncio.gather(*tasks)

asyncio.run(main())
'''


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    with FakeDaemon() as daemon:
        yield daemon


@pytest.mark.parametrize("version", guests.VERSIONS)
def test_no_value_leaves(version: str, daemon: FakeDaemon, tmp_path: Path) -> None:
    if guests.guest_python(version) is None:
        pytest.skip(f"no Python {version} on this machine")
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    arguments = ["-X", "canary-x=option", str(path), "--password=canary-argv", "canary-word"]
    env = {"CANARY": "canary-environment", "PASSWORD": "canary-password"}
    with Guest(arguments, daemon.dashboard, version, env) as guest:
        guest.wait_for_line("ready")
        (connection,) = daemon.wait_for(1)
        assert "canary" not in str(connection.hello).lower()
        for _ in range(5):
            (reply,) = daemon.snapshot()
            assert reply["graph"]["nodes"], guest.describe()
        assert len(connection.raw) == 5
        for raw in connection.raw.values():
            at = raw.lower().find(b"canary")
            assert at < 0, raw[max(0, at - 300) : at + 100]
        assert "canary" not in guest.output, "code of the program was run"
        assert guest.errors == ""


def test_a_token_is_sent_in_hello_alone(daemon: FakeDaemon) -> None:
    env = {"PEEPS_TOKEN": "s3cret-token-of-the-daemon"}
    program = "import time; print('ready', flush=True); time.sleep(3600)"
    with Guest(["-c", program], daemon.dashboard, env=env) as guest:
        guest.wait_for_line("ready")
        (connection,) = daemon.wait_for(1)
        assert connection.hello["token"] == env["PEEPS_TOKEN"]
        daemon.snapshot()
        assert all(b"s3cret" not in raw for raw in connection.raw.values())
