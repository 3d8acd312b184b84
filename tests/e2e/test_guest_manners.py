"""The agent is a good guest: what its host may notice of it is nothing.

Every test runs a real program with the agent in it, takes snapshots, and compares what the
program did with what it does alone.
"""

import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import examples, guests
from tests.support.fake_daemon import FakeDaemon
from tests.support.guests import OWN, VERSIONS, Guest
from tests.support.pictures import Picture
from tests.support.waiting import wait_until

AS_LONG_AS_ASKED = """
import os, time
def stop():
    return os.path.exists("stop")
"""
"""Opens a guest's program: it goes on until the test calls `end`."""


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    with FakeDaemon() as daemon:
        yield daemon


def write(directory: Path, program: str) -> str:
    """The program as a file; its path."""
    path = directory / "program.py"
    path.write_text(AS_LONG_AS_ASKED + program)
    return str(path)


def end(directory: Path) -> None:
    """Let a program that looks at stop() end."""
    (directory / "stop").touch()


BUSY = """
import asyncio, threading

def work(lock):
    while not stop():
        with lock:
            time.sleep(0.001)

async def turn(lock):
    while not stop():
        async with lock:
            await asyncio.sleep(0.001)

async def main():
    lock = asyncio.Lock()
    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(turn(lock))
        print("ready", flush=True)

lock = threading.Lock()
threads = [threading.Thread(target=work, args=(lock,)) for _ in range(3)]
for thread in threads:
    thread.start()
asyncio.run(main())
for thread in threads:
    thread.join()
print("done")
"""


def test_silent_where_warnings_are_errors(version: str, daemon: FakeDaemon, tmp_path: Path) -> None:
    flags = ["-W", "error", "-X", "dev", "-b"]
    with Guest([*flags, write(tmp_path, BUSY)], daemon.dashboard, version, cwd=tmp_path) as guest:
        guest.wait_for_line("ready")
        daemon.wait_for(1)
        for _ in range(20):
            (reply,) = daemon.snapshot()
            assert reply["graph"] is not None, reply
        end(tmp_path)
        assert guest.wait() == 0
        assert guest.errors == ""
        assert guest.output == "ready\ndone\n"


STATE = """
import asyncio, atexit, faulthandler, gc, json, locale, logging, signal, socket, sys, threading
import warnings

def handler(number):
    return repr(signal.getsignal(number)).split(" object at")[0]

def state():
    return {
        "signals": {s.name: handler(s) for s in signal.valid_signals()
                    if isinstance(s, signal.Signals)},
        "mask": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "gc": [gc.isenabled(), gc.get_threshold(), gc.get_debug(), len(gc.callbacks)],
        "interval": sys.getswitchinterval(),
        "recursion": sys.getrecursionlimit(),
        "hooks": [repr(getattr(sys, n)) for n in ("excepthook", "displayhook", "unraisablehook",
                                                  "breakpointhook")],
        "thread_hooks": [threading.excepthook is threading.__excepthook__,
                         sys.gettrace(), sys.getprofile(), threading.gettrace(),
                         threading.getprofile()],
        "asyncgen": repr(sys.get_asyncgen_hooks()),
        "threads": [t.name for t in threading.enumerate()],
        "warnings": [repr(f) for f in warnings.filters],
        "environment": sorted(k for k in os.environ if not k.startswith("PEEPS_")),
        "umask": os.umask(os.umask(0)) if os.umask(os.umask(0)) else 0,
        "cwd": os.getcwd(),
        "path": sys.path,
        "meta_path": [repr(type(f)) for f in sys.meta_path],
        "atexit": atexit._ncallbacks(),
        "sockets": socket.getdefaulttimeout(),
        "logging": [len(logging.root.handlers), logging.root.level],
        "policy": type(asyncio.get_event_loop_policy()).__name__,
        "faulthandler": faulthandler.is_enabled(),
        "argv": sys.argv[1:],
    }

async def main():
    before = state()
    print("ready", flush=True)
    while not stop():
        await asyncio.sleep(0.005)
    after = state()
    print(json.dumps([before, after]))

if "gc-off" in sys.argv:
    gc.disable()
gc.set_threshold(501, 7, 3)
sys.setswitchinterval(0.003)
sys.setrecursionlimit(777)
signal.signal(signal.SIGUSR1, signal.SIG_IGN)
asyncio.run(main())
"""


@pytest.mark.parametrize("argument", ["gc-on", "gc-off"])
def test_settings_of_the_interpreter_stay_as_they_are(
    version: str, argument: str, daemon: FakeDaemon, tmp_path: Path
) -> None:
    program = write(tmp_path, STATE)

    def run(dashboard: str | None) -> Any:
        (tmp_path / "stop").unlink(missing_ok=True)
        with Guest([program, argument], dashboard, version, cwd=tmp_path) as guest:
            guest.wait_for_line("ready")
            if dashboard is not None:
                daemon.wait_for(1)
                for _ in range(5):
                    assert len(daemon.snapshot()) == 1
            end(tmp_path)
            assert guest.wait() == 0, guest.describe()
            assert guest.errors == ""
            return json.loads(guest.output.splitlines()[-1])

    assert run(daemon.dashboard) == run(None)


@pytest.mark.parametrize(
    "dashboard", ["127.0.0.1:1", "nonsense", "host:port:more", "127.0.0.1:99999", "[::1", ":", ""]
)
def test_no_daemon_there_or_a_wrong_address(dashboard: str, tmp_path: Path) -> None:
    program = write(tmp_path, "time.sleep(0.3); print('done')")
    with Guest(["-W", "error", program], dashboard, cwd=tmp_path) as guest:
        assert guest.wait() == 0
        assert (guest.output, guest.errors) == ("done\n", "")


def test_unset_means_nothing_at_all(version: str, tmp_path: Path) -> None:
    program = write(tmp_path, "import sys; print([m for m in sys.modules if 'peeps' in m])")
    with Guest([program], None, version, cwd=tmp_path) as guest:
        assert guest.wait() == 0
        assert (guest.output, guest.errors) == ("[]\n", "")


FINALISERS = """
import asyncio, gc, threading

class Canary:
    buried, elsewhere = 0, set()
    def __del__(self):
        Canary.buried += 1
        if threading.get_ident() != MAIN:
            Canary.elsewhere.add(threading.current_thread().name)

MAIN = threading.get_ident()
late = 0

async def inner(canary):
    await asyncio.sleep(0)

async def outer():
    global late
    while not stop():
        for _ in range(50):
            buried = Canary.buried
            canary = Canary()
            await inner(canary)
            del canary
            if Canary.buried != buried + 1:
                late += 1

async def main():
    print("ready", flush=True)
    await asyncio.create_task(outer())

gc.disable()
asyncio.run(main())
print(f"late={late} elsewhere={Canary.elsewhere}")
"""


def test_finalisers_run_when_and_where_they_did(
    version: str, daemon: FakeDaemon, tmp_path: Path
) -> None:
    with Guest([write(tmp_path, FINALISERS)], daemon.dashboard, version, cwd=tmp_path) as guest:
        guest.wait_for_line("ready")
        daemon.wait_for(1)
        for _ in range(30):
            daemon.snapshot()
        end(tmp_path)
        assert guest.wait() == 0, guest.describe()
        assert guest.output.splitlines()[-1] == "late=0 elsewhere=set()"


THREAD_FINALISERS = """
import threading

class Canary:
    buried, elsewhere = 0, 0
    def __init__(self):
        self.owner = threading.get_ident()
    def __del__(self):
        Canary.buried += 1
        if threading.get_ident() != self.owner:
            Canary.elsewhere += 1

late = 0

def hold(canary, lock):
    with lock:
        pass

def work(lock):
    global late
    for _ in range(50):
        canary = Canary()
        hold(canary, lock)
        buried = Canary.buried
        del canary
        if Canary.buried == buried:
            late += 1

lock = threading.Lock()
print("ready", flush=True)
while not stop():
    work(lock)
print(f"late={late} elsewhere={Canary.elsewhere}")
"""


def test_finalisers_of_a_thread_run_when_and_where_they_did(
    version: str, daemon: FakeDaemon, tmp_path: Path
) -> None:
    program = write(tmp_path, THREAD_FINALISERS)
    with Guest([program], daemon.dashboard, version, cwd=tmp_path) as guest:
        guest.wait_for_line("ready")
        daemon.wait_for(1)
        for _ in range(25):
            daemon.snapshot()
        end(tmp_path)
        assert guest.wait() == 0, guest.describe()
        assert guest.output.splitlines()[-1] == "late=0 elsewhere=0"


def test_a_loop_that_nobody_wakes_is_not_woken(version: str, daemon: FakeDaemon) -> None:
    example = examples.EXAMPLES / "stuck" / "asyncio_loop_never_woken.py"
    with Guest([str(example)], daemon.dashboard, version) as guest:
        guest.wait_for_line("stuck")
        daemon.wait_for(1)
        for _ in range(10):
            picture = Picture.of_replies(daemon.snapshot())
            assert picture.find([["task", "measure"], ["event_loop"]]), str(picture)
        assert not guest.has_said("woken")
        assert guest.process.poll() is None


PARKED = {
    "asyncio": """
import asyncio, selectors

class Counting(selectors.EpollSelector):
    def select(self, timeout=None):
        global turns
        turns += 1
        return super().select(timeout)

async def main():
    await asyncio.sleep(0.1)
    await asyncio.Event().wait()

def run():
    loop = asyncio.SelectorEventLoop(Counting())
    loop.run_until_complete(main())
""",
    "trio": """
import trio

class Counting(trio.abc.Instrument):
    def before_io_wait(self, timeout):
        global turns
        turns += 1

async def main():
    await trio.sleep(0.1)
    await trio.Event().wait()

def run():
    trio.run(main, instruments=[Counting()])
""",
}
COUNT_TURNS = """
import threading
turns = 0

def watch():
    seen = -1
    while seen != turns or turns < 2:  # until it has come to rest
        seen = turns
        time.sleep(0.3)
    print("parked", flush=True)
    while not stop():
        time.sleep(0.005)
    print("turned", turns - seen, flush=True)
    os._exit(0)

threading.Thread(target=watch, daemon=True).start()
run()
"""


@pytest.mark.parametrize("library", PARKED)
def test_a_parked_loop_does_not_turn_once(
    version: str, library: str, daemon: FakeDaemon, tmp_path: Path
) -> None:
    if not guests.can_import(version, library):
        pytest.skip(f"{library} cannot be imported by Python {version}")
    program = write(tmp_path, PARKED[library] + COUNT_TURNS)
    with Guest([program], daemon.dashboard, version, cwd=tmp_path) as guest:
        guest.wait_for_line("parked")
        daemon.wait_for(1)
        for _ in range(5):
            picture = Picture.of_replies(daemon.snapshot())
            assert picture.find([["task", "main"], ["notify"]]), str(picture)
        end(tmp_path)
        assert guest.wait_for_line("turned") == "turned 0"


@pytest.mark.parametrize(
    ("ending", "status", "printed"),
    [
        ("sys.exit(3)", 3, ""),
        ("os._exit(4)", 4, ""),
        ("raise SystemExit('bye')", 1, ""),
        ("raise KeyError('x')", 1, ""),
        ("atexit.register(print, 'at exit')", 0, "at exit\n"),
        ("threading.Timer(0.2, print, ['timer']).start()", 0, "timer\n"),
        ("os.kill(os.getpid(), 9)", -9, ""),
        ("os.kill(os.getpid(), 15)", -15, ""),
        ("os.abort()", -6, ""),
    ],
)
def test_exit_status_is_the_program_s(
    ending: str, status: int, printed: str, daemon: FakeDaemon, tmp_path: Path
) -> None:
    program = f"""
import asyncio, atexit, os, sys, threading
print("ready", flush=True)
while not stop():
    time.sleep(0.001)
{ending}
"""
    with Guest([write(tmp_path, program)], daemon.dashboard, cwd=tmp_path) as guest:
        guest.wait_for_line("ready")
        daemon.wait_for(1)
        daemon.snapshot()
        end(tmp_path)
        assert guest.wait() == status
        assert guest.output == "ready\n" + printed
        assert "peeps" not in guest.errors


INTERRUPTED = """
import asyncio, sys

async def wait():
    try:
        await asyncio.sleep(3600)
    finally:
        print("cleaned up", flush=True)

def main():
    print("ready", flush=True)
    if "asyncio" in sys.argv:
        asyncio.run(wait())
    elif "spin" in sys.argv:
        while True:
            pass
    else:
        time.sleep(3600)

try:
    main()
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize("kind", ["asyncio", "sleep", "spin"])
def test_keyboard_interrupt_reaches_the_program(
    version: str, kind: str, daemon: FakeDaemon, tmp_path: Path
) -> None:
    arguments = [write(tmp_path, INTERRUPTED), kind]
    with Guest(arguments, daemon.dashboard, version, cwd=tmp_path) as guest:
        guest.wait_for_line("ready")
        daemon.wait_for(1)
        stopped = threading.Event()

        def keep_asking() -> None:
            while not stopped.is_set():
                daemon.snapshot(1.0)

        asking = threading.Thread(target=keep_asking)
        asking.start()
        try:
            wait_until(lambda: daemon.snapshot(1.0), "a snapshot")
            guest.process.send_signal(signal.SIGINT)
            assert guest.wait() == 0, guest.describe()
        finally:
            stopped.set()
            asking.join()
        assert guest.output.endswith("interrupted\n")
        assert guest.errors == ""


def test_deep_recursion_is_left_room_and_told_short(
    version: str, daemon: FakeDaemon, tmp_path: Path
) -> None:
    program = """
import sys, threading

def dive(depth):
    if depth:
        return dive(depth - 1)
    print("ready", flush=True)
    while not stop():
        time.sleep(0.001)

sys.setrecursionlimit(5000)
threading.stack_size(64 << 20)
thread = threading.Thread(target=dive, args=(4900,), name="diver")
thread.start()
thread.join()
"""
    with Guest([write(tmp_path, program)], daemon.dashboard, version, cwd=tmp_path) as guest:
        guest.wait_for_line("ready")
        daemon.wait_for(1)
        (reply,) = daemon.snapshot()
        picture = Picture.of_replies([reply])
        (diver,) = [n for n in picture.nodes.values() if n.fits(["thread", "diver"])]
        assert 10 < len(diver.attrs["stack"]) < 200
        assert reply["graph"].get("truncated"), sorted(reply["graph"])
        end(tmp_path)
        assert guest.wait() == 0
        assert guest.errors == ""


SATURATED = """
import asyncio, sys

async def step():
    while not stop():
        end = time.perf_counter() + 0.0002
        while time.perf_counter() < end:
            pass
        await asyncio.sleep(0)

async def main():
    tasks = [asyncio.create_task(step()) for _ in range(3)]
    print("ready", flush=True)
    await asyncio.gather(*tasks)
    import peeps

    peeps.stop()
    print("interval", sys.getswitchinterval())

asyncio.run(main())
"""


def test_a_loop_that_never_rests_does_not_starve_the_agent(
    version: str, daemon: FakeDaemon, tmp_path: Path
) -> None:
    with Guest(
        [write(tmp_path, SATURATED)],
        daemon.dashboard,
        version,
        env={"PEEPS_SHORT_TURNS": "1"},
        cwd=tmp_path,
    ) as guest:
        guest.wait_for_line("ready")
        daemon.wait_for(1)
        for _ in range(5):
            (reply,) = daemon.snapshot(30.0)
            picture = Picture.of_replies([reply])
            assert picture.find([["task", "main"], ["joinset"], ["task", "step"]]), str(picture)
        end(tmp_path)
        assert guest.wait() == 0, guest.describe()
        assert guest.output.splitlines()[-1] == "interval 0.005"


def test_own_version_is_among_those_tested() -> None:
    assert OWN in VERSIONS
