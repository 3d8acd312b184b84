"""The agent in real processes: how it starts, how it lives through forks, how it ends."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.support.raw_daemon import RawDaemon

AGENT = Path(__file__).parents[2] / "client_agent"
OTHERS = [
    path
    for path in (
        "/root/.pyenv/versions/3.12.1/bin/python3.12",
        "/root/.pyenv/versions/3.13.0/bin/python3.13",
    )
    if Path(path).exists()
]
PYTHONS = pytest.mark.parametrize("python", [sys.executable, *OTHERS], ids=lambda p: Path(p).name)


@pytest.fixture
def daemon():
    with RawDaemon() as daemon:
        yield daemon


def run(python, tmp_path, source, daemon, *args, boot=True, **env):
    """Start a program with warnings turned into errors; the agent on its path only."""
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(source))
    if boot:  # what the start-up line does, for an interpreter that has not installed it
        site = tmp_path / "site"
        site.mkdir(exist_ok=True)
        (site / "sitecustomize.py").write_text((AGENT / "peeps-autostart.pth").read_text())
        path = f"{site}:{AGENT}"
    else:
        path = str(AGENT)
    return subprocess.Popen(
        [python, *(args or ["-W", "error", str(program)])],
        env={**os.environ, "PYTHONPATH": path, "PEEPS_DASHBOARD": daemon.address, **env},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )


def finish(process, text=""):
    out, err = process.communicate(text, timeout=60)
    assert err == ""
    assert process.returncode == 0
    return out


WAITS = "import sys; sys.stdin.read()"


@PYTHONS
def test_the_environment_is_enough(python, tmp_path, daemon):
    process = run(python, tmp_path, WAITS, daemon)
    peer = daemon.accept()
    assert peer.hello["process"] == "program"
    assert peer.hello["pid"] == process.pid
    assert peer.ask(3)["pid"] == process.pid
    finish(process)


@PYTHONS
def test_a_program_run_by_the_module_is_as_if_python_ran_it(python, tmp_path, daemon):
    source = """
        import json, os, sys
        print(json.dumps([sys.argv[1:], __name__, os.path.samefile(sys.path[0], os.getcwd()),
                          __file__.endswith("program.py"), __spec__ is None]))
        sys.stdin.read()
    """
    run_ = lambda *args: run(python, tmp_path, source, daemon, *args, boot=False)  # noqa: E731
    off = {"PEEPS_DASHBOARD": ""}  # the agent may be installed in the tests' own Python
    plain = run(python, tmp_path, source, daemon, "program.py", "a", "-b", boot=False, **off)
    expected = finish(plain)
    for args in (("program.py", "a", "-b"), ("-m", "program", "a", "-b")):
        process = run_("-m", "peeps", *args)
        peer = daemon.accept()
        assert peer.hello["process"] == "program"
        found = finish(process)
        assert found == expected if args[0] != "-m" else '["a", "-b"], "__main__"' in found


@pytest.mark.parametrize(
    ("words", "said"),
    [(["-c", "1"], "usage:"), (["-x"], "usage:"), (["none.py"], "there is no file 'none.py'")],
)
def test_the_module_says_what_it_cannot_run(words, said, tmp_path):
    command = [sys.executable, "-m", "peeps", *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@PYTHONS
def test_forks_are_silent_and_every_child_has_its_own_agent(python, tmp_path, daemon):
    source = """
        import os, sys
        for _ in range(3):
            pid = os.fork()
            if pid == 0:
                sys.stdin.readline()
                os._exit(0)
            print(pid, flush=True)
        for _ in range(3):
            sys.stdin.readline()
            os.wait()
        sys.stdin.read()
    """
    process = run(python, tmp_path, source, daemon)
    peers = daemon.accept_many(4)
    pids = {peer.hello["pid"] for peer in peers}
    replies = [peer.ask(n) for n, peer in enumerate(peers)]
    assert {reply["pid"] for reply in replies} == pids
    assert process.pid in pids
    assert len({reply["graph"]["nodes"][0]["id"] for reply in replies}) == 4
    out = finish(process, "\n" * 6)
    assert {int(pid) for pid in out.split()} == pids - {process.pid}


@PYTHONS
def test_a_parent_that_waits_for_its_child_at_once_is_there_meanwhile(python, tmp_path, daemon):
    source = """
        import os, sys
        pid = os.fork()
        if pid:
            os.waitpid(pid, 0)
        else:
            sys.stdin.read()
    """
    process = run(python, tmp_path, source, daemon)
    found = {peer.hello["pid"]: peer for peer in daemon.accept_many(2)}
    parent = found[process.pid]
    child = next(peer for pid, peer in found.items() if pid != process.pid)
    assert parent.ask(1)["pid"] == process.pid
    assert child.ask(1)["snapshot_id"] == 1
    finish(process)


@PYTHONS
@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_multiprocessing_children_are_there_and_helpers_are_not(python, method, tmp_path, daemon):
    source = f"""
        import multiprocessing, sys, threading

        def child(queue):
            queue.get()

        if __name__ == "__main__":
            context = multiprocessing.get_context("{method}")
            queue = context.SimpleQueue()
            children = [context.Process(target=child, args=(queue,)) for _ in range(2)]
            for one in children:
                one.start()
            print(*(one.pid for one in children), flush=True)
            sys.stdin.read()
            for _ in children:
                queue.put(None)
            for one in children:
                one.join()
    """
    process = run(python, tmp_path, source, daemon)
    peers = daemon.accept_many(3)
    assert daemon.nobody_comes(0.5), (process.pid, daemon.accept().hello, [p.hello for p in peers])
    assert {peer.hello["process"] for peer in peers} == {"program"}
    found = {peer.ask(1)["pid"] for peer in peers}
    out = finish(process)
    assert found == {process.pid, *map(int, out.split())}


@PYTHONS
def test_no_daemon_bad_address_or_broken_agent_is_nobodys_trouble(python, tmp_path, daemon):
    for extra in (
        {"PEEPS_DASHBOARD": "127.0.0.1:1"},
        {"PEEPS_DASHBOARD": "nonsense"},
        {"PEEPS_MAX_FRAME_BYTES": "nonsense"},
    ):
        assert finish(run(python, tmp_path, "print('fine')", daemon, **extra)) == "fine\n"


@PYTHONS
def test_the_interpreter_ends_silently_while_a_snapshot_is_taken(python, tmp_path, daemon):
    source = """
        import asyncio, sys
        async def main():
            keep = [asyncio.ensure_future(asyncio.Event().wait()) for _ in range(3000)]
            await asyncio.sleep(0)
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
            for task in keep:
                task.cancel()
            await asyncio.gather(*keep, return_exceptions=True)
        asyncio.run(main())
    """
    for _ in range(3):
        process = run(python, tmp_path, source, daemon)
        peer = daemon.accept()
        for number in range(20):
            peer.send({"type": "snapshot_request", "snapshot_id": number, "timeout_ms": 5000})
        peer.receive()
        finish(process, "\n")


def test_threads_and_forks_by_a_host_that_has_threads_warn_as_ever(tmp_path, daemon):
    source = """
        import os, sys, threading, warnings
        release = threading.Event()
        threading.Thread(target=release.wait).start()
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            pid = os.fork()
            if pid == 0:
                os._exit(0)
            os.waitpid(pid, 0)
        release.set()
        print(len(seen))
    """
    for python in OTHERS:
        process = run(python, tmp_path, source, daemon)
        assert finish(process) == "1\n"
