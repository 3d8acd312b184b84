"""The host's garbage collection and switch interval come back, wherever a handler raises."""

import gc
import subprocess
import sys
import textwrap
import threading

import pytest

from peeps import host_settings, pause, turns
from peeps.pause import no_garbage_collection
from peeps.turns import LongTurns, ShortTurns, SteadyTurns

OURS = {host_settings.__file__, pause.__file__, turns.__file__}


def settings():
    return gc.get_threshold(), sys.getswitchinterval()


class Interrupted(Exception):
    """What a host's signal handler raises."""


@pytest.fixture(autouse=True)
def _put_back():
    before = settings()
    yield
    pause.forget_after_fork()
    turns.forget_after_fork()
    gc.set_threshold(*before[0])
    sys.setswitchinterval(before[1])


def interrupt_at(number, action):
    """Run `action`, raising at the given one of the moments at which Python runs handlers of
    signals: a function begins, or a call returns. Whether there were so many."""
    count = 0

    def profile(frame, event, arg):
        nonlocal count
        if frame.f_code.co_filename in OURS and event in ("call", "return", "c_return"):
            count += 1
            if count == number:
                raise Interrupted

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        action()
    except Interrupted:
        pass
    finally:
        sys.setprofile(before)
    return count >= number


def in_agent_thread(action):
    thread = threading.Thread(target=action)
    thread.start()
    thread.join(30)


def one_cut():
    with no_garbage_collection():
        pass


def cut_in_cut():
    with no_garbage_collection(), no_garbage_collection():
        pass


def turns_in_turns():
    with ShortTurns() as short, SteadyTurns(), LongTurns(0.02), short.given_back():
        pass


def repair():
    pause.repair()
    turns.repair()


@pytest.mark.parametrize("action", [one_cut, cut_in_cut, turns_in_turns])
def test_an_exception_at_any_point_leaves_the_host_s_own_settings(action):
    gc.set_threshold(321, 7, 5)
    sys.setswitchinterval(0.003)
    before = settings()
    number = 1
    while interrupt_at(number, action):
        in_agent_thread(repair)
        assert settings() == before, f"after an exception at step {number}"
        action()
        assert settings() == before, f"after another cut, step {number}"
        number += 1
    assert number > 10


@pytest.mark.parametrize("action", [one_cut, turns_in_turns])
def test_several_exceptions_before_a_repair_do_not_lose_the_host_s_own(action):
    gc.set_threshold(321, 7, 5)
    sys.setswitchinterval(0.003)
    before = settings()
    number = 1
    while interrupt_at(number, action):  # never repaired in between
        number += 1
    in_agent_thread(repair)
    assert settings() == before


def test_a_repair_leaves_those_alone_who_hold():
    entered, leave = threading.Event(), threading.Event()

    def hold():
        with no_garbage_collection(), LongTurns(0.05):
            entered.set()
            leave.wait(30)

    before = settings()
    thread = threading.Thread(target=hold)
    thread.start()
    assert entered.wait(30)
    repair()
    try:
        assert gc.get_threshold()[0] == 0
        assert sys.getswitchinterval() == pytest.approx(0.05)
    finally:
        leave.set()
        thread.join(30)
    assert settings() == before


def test_what_is_begun_is_not_repaired_away():
    short = ShortTurns()
    before = settings()
    short.begin()
    repair()
    assert sys.getswitchinterval() == pytest.approx(0.0001)
    short.end()
    short.end()
    assert settings() == before


def test_a_host_that_had_collection_off_by_its_threshold_keeps_it_off():
    gc.set_threshold(0, 10, 10)
    one_cut()
    repair()
    assert gc.get_threshold() == (0, 10, 10)


STORM = """
import asyncio, gc, signal, sys, threading, time
from peeps import pause, turns
from peeps.snapshot import snapshot_dict

gc.set_threshold(321, 7, 5)
sys.setswitchinterval(0.003)
before = gc.get_threshold(), sys.getswitchinterval()
inside = [0]

class Boom(Exception):
    pass

def handler(number, frame):
    while frame is not None:
        if "/peeps/" in frame.f_code.co_filename:
            inside[0] += 1
            raise Boom
        frame = frame.f_back

async def busy():
    while True:
        await asyncio.sleep(0)

async def sleeper(lock):
    async with lock:
        await asyncio.sleep(1000)

loop = asyncio.SelectorEventLoop()
lock = asyncio.Lock()
for _ in range(100):
    loop.create_task(sleeper(lock))
loop.create_task(busy())
end = time.monotonic() + 3
found = []
stop = threading.Event()

def snap():
    while not stop.is_set():
        snapshot_dict("x")
        found.append((gc.get_threshold(), sys.getswitchinterval()))

thread = threading.Thread(target=snap)
signal.signal(signal.SIGALRM, handler)
thread.start()
signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)
async def tick():
    while time.monotonic() < end:
        await asyncio.sleep(0.001)
task = loop.create_task(tick())
while not task.done():
    try:
        loop.run_until_complete(task)
    except (Boom, RuntimeError):
        pass
signal.setitimer(signal.ITIMER_REAL, 0)
stop.set()
thread.join()
wrong = [one for one in found if one != before]
now = gc.get_threshold(), sys.getswitchinterval()
print(len(found), inside[0], len(wrong), wrong[:3], before == now)
"""


def test_a_storm_of_signals_leaves_the_host_s_own_settings():
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(STORM)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    words = done.stdout.split()
    assert words, done.stderr
    assert int(words[0]) > 0, done.stdout
    assert int(words[1]) > 0, done.stdout
    assert words[2] == "0", done.stdout
    assert words[-1] == "True", done.stdout
