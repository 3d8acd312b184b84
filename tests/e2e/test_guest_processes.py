"""The agent where processes come from and go to: fork, spawn, exec, servers, debuggers, the end."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import guests
from tests.support.fake_daemon import FakeDaemon
from tests.support.guests import OWN, Guest
from tests.support.pictures import Picture
from tests.support.waiting import wait_until

from .test_guest_manners import BUSY, end, write


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    with FakeDaemon() as daemon:
        yield daemon


def pids(daemon: FakeDaemon) -> set[int]:
    """Who answers a snapshot now, by the pid in its reply."""
    return {int(reply["pid"]) for reply in daemon.snapshot() if reply["graph"]}


FORK = """
import os, sys
children = []
for n in range(3):
    pid = os.fork()
    if pid == 0:
        os.write(1, b"child %d\\n" % os.getpid())  # whole, whoever else writes
        while not stop():
            time.sleep(0.005)
        os._exit(7)
    children.append(pid)
os.write(1, b"ready\\n")
print([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children])
"""


def test_fork_is_silent_and_both_sides_answer(
    version: str, daemon: FakeDaemon, tmp_path: Path
) -> None:
    arguments = ["-W", "error", write(tmp_path, FORK)]
    with Guest(arguments, daemon.dashboard, version, cwd=tmp_path) as guest:
        guest.wait_for_line("ready")
        wait_until(lambda: len(pids(daemon)) == 4, "parent and children answer")
        end(tmp_path)
        assert guest.wait() == 0, guest.describe()
        assert guest.errors == ""
        assert guest.output.splitlines()[-1] == "[7, 7, 7]"
        forked = {int(pid) for pid in re.findall(r"child (\d+)", guest.output)}
        assert guest.pid not in forked


def test_fork_while_a_snapshot_is_taken(version: str, daemon: FakeDaemon, tmp_path: Path) -> None:
    program = """
import os
print("ready", flush=True)
count = 0
while not stop():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    count += 1
    time.sleep(0.02)  # a look that a fork interrupts is taken again: leave it some room
print("forked", count > 10)
"""
    arguments = ["-W", "error", write(tmp_path, program)]
    with Guest(arguments, daemon.dashboard, version, cwd=tmp_path) as guest:
        guest.wait_for_line("ready")
        daemon.wait_for(1)
        stop_at = time.monotonic() + 2
        while time.monotonic() < stop_at:
            daemon.snapshot(0.2)
        wait_until(lambda: guest.pid in pids(daemon), "the parent answers")
        end(tmp_path)
        assert guest.wait() == 0, guest.describe()
        assert (guest.output.splitlines()[-1], guest.errors) == ("forked True", "")


def test_parent_that_waits_for_its_child_at_once(
    version: str, daemon: FakeDaemon, tmp_path: Path
) -> None:
    program = """
import os
pid = os.fork()
if pid:
    os.waitpid(pid, 0)
while not stop():
    time.sleep(0.005)
"""
    arguments = ["-W", "error", write(tmp_path, program)]
    with Guest(arguments, daemon.dashboard, version, cwd=tmp_path) as guest:
        wait_until(lambda: len(pids(daemon)) == 2, "parent and child answer")
        end(tmp_path)
        assert guest.wait() == 0, guest.describe()
        assert guest.errors == ""


def test_children_forked_while_the_agent_starts_can_import_everything(
    version: str, daemon: FakeDaemon, tmp_path: Path
) -> None:
    program = """
import os, sys
children = []
for n in range(12):
    pid = os.fork()
    if pid == 0:
        # What the agent's thread may have been importing at that moment.
        import asyncio, encodings.idna, json, platform, socket
        socket.getaddrinfo("localhost", 1)
        os._exit(0)
    children.append(pid)
for pid in children:
    os.waitpid(pid, 0)
print("done")
"""
    for _ in range(3):
        arguments = [write(tmp_path, program)]
        with Guest(arguments, daemon.dashboard, version, cwd=tmp_path) as guest:
            assert guest.wait() == 0, guest.describe()
            assert guest.output == "done\n"


MULTIPROCESSING = """
import multiprocessing, sys

def work(queue):
    queue.put(1)
    while not stop():
        time.sleep(0.005)

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    queue = context.Queue()
    children = [context.Process(target=work, args=(queue,)) for _ in range(2)]
    for child in children:
        child.start()
    for child in children:
        queue.get()
    print("ready", os.getpid(), *[child.pid for child in children], flush=True)
    for child in children:
        child.join()
    print([child.exitcode for child in children])
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(version: str, method: str, daemon: FakeDaemon, tmp_path: Path) -> None:
    arguments = ["-W", "error", write(tmp_path, MULTIPROCESSING), method]
    with Guest(arguments, daemon.dashboard, version, cwd=tmp_path) as guest:
        expected = {int(word) for word in guest.wait_for_line("ready").split()[1:]}
        wait_until(lambda: expected <= pids(daemon), "parent and children answer")
        extra = {c.process for c in daemon.connections() if c.pid not in expected}
        assert extra == set(), "helpers of multiprocessing take no part"
        end(tmp_path)
        assert guest.wait() == 0, guest.describe()
        assert (guest.output.splitlines()[-1], guest.errors) == ("[0, 0]", "")


def test_exec_starts_anew_and_leaks_no_descriptor(
    version: str, daemon: FakeDaemon, tmp_path: Path
) -> None:
    program = """
import sys
if len(sys.argv) < 3:
    print("first", flush=True)
    while not stop():
        time.sleep(0.005)
    os.remove("stop")
    os.execv(sys.executable, [sys.executable, "-W", "error", __file__, "again", "and again"])
print("second", sorted(os.listdir("/proc/self/fd"))[:4], flush=True)
while not stop():
    time.sleep(0.005)
"""
    with Guest([write(tmp_path, program)], daemon.dashboard, version, cwd=tmp_path) as guest:
        guest.wait_for_line("first")
        (first,) = daemon.wait_for(1)
        assert pids(daemon) == {guest.pid}
        end(tmp_path)
        guest.wait_for_line("second")
        wait_until(lambda: not first.is_open, "the old connection ended with the old program")
        wait_until(lambda: pids(daemon) == {guest.pid}, "the new program answers")
        end(tmp_path)
        assert guest.wait() == 0
        assert guest.errors == ""


def test_children_do_not_inherit_the_connection(daemon: FakeDaemon, tmp_path: Path) -> None:
    program = """
import subprocess
print("ready", flush=True)
while not stop():
    time.sleep(0.005)
subprocess.run(["ls", "-l", "/proc/self/fd"], close_fds=False, check=True)
"""
    with Guest([write(tmp_path, program)], daemon.dashboard, cwd=tmp_path) as guest:
        guest.wait_for_line("ready")
        daemon.wait_for(1)
        daemon.snapshot()
        end(tmp_path)
        assert guest.wait() == 0
        assert "socket:" not in guest.output


@pytest.mark.parametrize(
    ("flags", "takes_part"),
    [(["-I"], True), (["-E"], True), (["-s"], True), (["-O"], True), (["-S"], False)],
)
def test_flags_of_the_interpreter(
    flags: list[str], takes_part: bool, daemon: FakeDaemon, tmp_path: Path
) -> None:
    program = write(tmp_path, "time.sleep(0.5 if os.environ.get('SHORT') else 3600)")
    env = {} if takes_part else {"SHORT": "1"}
    with Guest([*flags, program], daemon.dashboard, env=env, cwd=tmp_path) as guest:
        if takes_part:
            daemon.wait_for(1)
            assert pids(daemon) == {guest.pid}
        else:
            assert guest.wait() == 0
            assert daemon.connections() == []
        assert guest.errors == ""


def test_gevent(daemon: FakeDaemon, tmp_path: Path) -> None:
    if not guests.can_import(OWN, "gevent"):
        pytest.skip("gevent cannot be imported")
    program = """
from gevent import monkey
monkey.patch_all()
import gevent, socket, threading

beats = 0

def beat():
    global beats
    while not stop():
        time.sleep(0.002)
        beats += 1

threads = [threading.Thread(target=beat) for _ in range(3)]
for thread in threads:
    thread.start()
gevent.sleep(0.05)
print("ready", flush=True)
for thread in threads:
    thread.join()
print("beats", beats > 10, len(threading.enumerate()))
"""
    with Guest(
        ["-W", "default", write(tmp_path, program)], daemon.dashboard, cwd=tmp_path
    ) as guest:
        guest.wait_for_line("ready")
        daemon.wait_for(1)
        for _ in range(20):
            assert pids(daemon) == {guest.pid}
        end(tmp_path)
        assert guest.wait() == 0, guest.describe()
        assert guest.output.splitlines()[-1] == "beats True 1"
        assert "peeps" not in guest.errors


@pytest.mark.parametrize("flags", [[], ["--preload", "-k", "gthread", "--threads", "2"]])
def test_gunicorn(flags: list[str], daemon: FakeDaemon, tmp_path: Path) -> None:
    if not guests.can_import(OWN, "gunicorn"):
        pytest.skip("gunicorn cannot be imported")
    (tmp_path / "web.py").write_text(
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    return [b'hello']\n"
    )
    arguments = ["-m", "gunicorn", "-w", "2", "-b", "127.0.0.1:0", "--no-control-socket", *flags]
    with Guest([*arguments, "web:app"], daemon.dashboard, cwd=tmp_path) as guest:
        if "unrecognized arguments" in guest.errors:
            pytest.skip("another generation of gunicorn")
        wait_until(lambda: len(pids(daemon)) == 3, "the master and both workers answer")
        (bound,) = set(re.findall(r"http://127.0.0.1:(\d+)", guest.errors))
        told = subprocess.run(
            ["curl", "-s", f"http://127.0.0.1:{bound}/"], capture_output=True, check=False
        )
        assert told.stdout == b"hello"
        worker = next(iter(pids(daemon) - {guest.pid}))
        os.kill(worker, signal.SIGKILL)
        wait_until(
            lambda: worker not in (now := pids(daemon)) and len(now) == 3, "a new worker answers"
        )
        guest.process.send_signal(signal.SIGTERM)
        assert guest.wait() == 0, guest.describe()
        assert "peeps" not in guest.errors


def test_under_pytest(daemon: FakeDaemon, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import threading, time, os\n"
        "def test_alone():\n"
        "    assert threading.active_count() == 1\n"
        "    print('ready', flush=True)\n"
        "    while not os.path.exists('stop'):\n"
        "        time.sleep(0.005)\n"
        "    assert threading.active_count() == 1\n"
    )
    arguments = ["-m", "pytest", "-q", "-s", "-W", "error", "-p", "no:cacheprovider"]
    arguments += ["-p", "no:xdist"]  # it has threads of its own where it is at work itself
    with Guest([*arguments, "test_it.py"], daemon.dashboard, cwd=tmp_path) as guest:
        guest.wait_for_line("ready")
        daemon.wait_for(1)
        for _ in range(5):
            assert pids(daemon) == {guest.pid}
        end(tmp_path)
        assert guest.wait() == 0, guest.describe()
        assert "1 passed" in guest.output


def test_under_a_tracer(version: str, daemon: FakeDaemon, tmp_path: Path) -> None:
    tracer = """
import sys, threading
seen = set()
def trace(frame, event, argument):
    seen.add(frame.f_code.co_filename)
    return trace
sys.settrace(trace)
threading.settrace(trace)
sys.setprofile(lambda *_: None)
"""
    checks = "\nassert sys.gettrace() is trace\nsys.settrace(None)\nsys.setprofile(None)\n"
    program = write(tmp_path, tracer + BUSY + checks)
    with Guest(["-W", "error", program], daemon.dashboard, version, cwd=tmp_path) as guest:
        guest.wait_for_line("ready")
        daemon.wait_for(1)
        for _ in range(10):
            assert pids(daemon) == {guest.pid}
        end(tmp_path)
        assert guest.wait() == 0, guest.describe()
        assert guest.errors == ""


def test_under_pdb(daemon: FakeDaemon, tmp_path: Path) -> None:
    program = write(tmp_path, BUSY)
    lines = Path(program).read_text().splitlines()
    place = f"break {1 + lines.index('lock = threading.Lock()')}"
    arguments = ["-m", "pdb", "-c", place, "-c", "continue", program]
    with Guest(arguments, daemon.dashboard, cwd=tmp_path) as guest:
        # It stands at the breakpoint, reading commands.
        wait_until(lambda: "(Pdb)" in guest.output or "-> lock" in guest.output, "the breakpoint")
        daemon.wait_for(1)
        for _ in range(3):
            assert pids(daemon) == {guest.pid}
        assert "peeps" not in guest.errors


ENDING = """
import asyncio
async def wait():
    await asyncio.Event().wait()
async def main():
    tasks = [asyncio.create_task(wait()) for _ in range(5000)]
    await asyncio.sleep(0)
    print("ready", flush=True)
    while not stop():
        await asyncio.sleep(0.001)
asyncio.run(main())
print("done")
"""


@pytest.mark.parametrize("delay", [0.0, 0.005, 0.02, 0.05])
def test_the_end_comes_while_a_snapshot_is_taken(
    version: str, delay: float, daemon: FakeDaemon, tmp_path: Path
) -> None:
    arguments = ["-W", "error", write(tmp_path, ENDING)]
    with Guest(arguments, daemon.dashboard, version, cwd=tmp_path) as guest:
        guest.wait_for_line("ready")
        connections = daemon.wait_for(1)
        for _ in range(5):
            daemon.request(connections)
        time.sleep(delay)  # at which point of the snapshot, nobody can know
        end(tmp_path)
        assert guest.wait() == 0, guest.describe()
        assert (guest.output, guest.errors) == ("ready\ndone\n", "")


def test_a_daemon_that_does_not_read_holds_up_nobody(daemon: FakeDaemon, tmp_path: Path) -> None:
    with FakeDaemon() as deaf:
        deaf.stop_reading = True
        arguments = ["-W", "error", write(tmp_path, ENDING)]
        with Guest(arguments, deaf.dashboard, cwd=tmp_path) as guest:
            guest.wait_for_line("ready")
            wait_until(lambda: deaf.unread, "it connected")
            for _ in range(50):
                deaf.request(deaf.unread, timeout_ms=500)
            time.sleep(0.5)
            end(tmp_path)
            assert guest.wait() == 0, guest.describe()
            assert (guest.output, guest.errors) == ("ready\ndone\n", "")


def test_a_daemon_that_comes_back_is_found_again(tmp_path: Path) -> None:
    with FakeDaemon() as first:
        guest = Guest([write(tmp_path, BUSY)], first.dashboard, cwd=tmp_path)
        with guest:
            guest.wait_for_line("ready")
            first.wait_for(1)
            first.close()
            with FakeDaemon(first.port) as second:
                second.wait_for(1)
                assert pids(second) == {guest.pid}
                (connection,) = second.connections()
                second.hang_up(connection)
                wait_until(lambda: not connection.is_open, "the connection ended")
                second.wait_for(1)
                assert pids(second) == {guest.pid}
            assert guest.errors == ""


GARBAGE = [
    b"\x00\x00\x00\x03abc",
    b"\x00\x00\x00\x02[]",
    b"\x00\x00\x00\x00",
    b"\xff\xff\xff\xff" + b"x" * 1000,
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\x16\x03\x01\x02\x00" + bytes(500),
    b"\x00\x00\x00\x19" + b'{"type":"something new"}' + b" ",
    b"\x00\x00\x00\x1b" + b'{"type":"snapshot_request"}',
    b"\x00\x00\x00\x40" + b'{"type":"snapshot_request","snapshot_id":"x","timeout_ms":-1}   ',
    b"\x00\x00\x00\x40" + b'{"type":"snapshot_request","snapshot_id":1,"timeout_ms":1e999}  ',
    b"\x00\x01\x86\xa0" + b"[" * 100_000,
    b"\x00\x00\x00\x40" + b"\xff" * 64,
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda g: repr(g[:24]))
def test_garbage_from_the_daemon(garbage: bytes, daemon: FakeDaemon, tmp_path: Path) -> None:
    with Guest(["-W", "error", write(tmp_path, BUSY)], daemon.dashboard, cwd=tmp_path) as guest:
        guest.wait_for_line("ready")
        (connection,) = daemon.wait_for(1)
        daemon.send(connection, garbage, framed=False)
        # It goes on with this connection or makes a new one, and answers.
        wait_until(lambda: pids(daemon) == {guest.pid}, "it answers again")
        end(tmp_path)
        assert guest.wait() == 0, guest.describe()
        assert (guest.output, guest.errors) == ("ready\ndone\n", "")


def test_thirty_thousand_tasks(daemon: FakeDaemon, tmp_path: Path) -> None:
    program = write(tmp_path, ENDING.replace("5000", "30_000"))
    with Guest([program], daemon.dashboard, cwd=tmp_path) as guest:
        guest.wait_for_line("ready")
        daemon.wait_for(1)
        (reply,) = daemon.snapshot(60.0)
        picture = Picture.of_replies([reply])
        waiting = [n for n in picture.nodes.values() if n.fits(["task", "wait"])]
        assert len(waiting) == 30_000
        assert all(len(picture.needs.get(node.id, ())) == 1 for node in waiting)
        end(tmp_path)
        assert guest.wait() == 0, guest.describe()
        assert guest.errors == ""


def test_too_little_time_is_told(daemon: FakeDaemon, tmp_path: Path) -> None:
    program = write(tmp_path, ENDING.replace("5000", "20_000"))
    with Guest([program], daemon.dashboard, cwd=tmp_path) as guest:
        guest.wait_for_line("ready")
        connections = daemon.wait_for(1)
        number = daemon.request(connections, timeout_ms=100)
        daemon.wait_for_replies(connections, number, 60.0)
        reply = connections[0].replies[number]
        assert reply.get("error"), "it was cut off and does not say so"
        assert reply["graph"] is None or reply["graph"].get("truncated")
        assert len(pids(daemon)) == 1, "the next one is answered"
