"""Processes may connect by a Unix socket that is the owner's alone."""

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from ..support.daemon import Daemon, clean_environment
from ..support.waiting import wait_until

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    short = tmp_path / "p.sock"
    if len(os.fsencode(short)) > 100:
        pytest.skip("the temporary directory's path is too long for a Unix socket")
    return short


def names_of_connected(daemon: Daemon) -> list[str]:
    found = httpx.get(f"{daemon.url}/api/connections", timeout=60).json()
    return [connection["process"] for connection in found["connections"]]


def listening(tmp_path: Path, path: Path) -> Daemon:
    daemon = Daemon(tmp_path)
    daemon.listen_on = f"unix:{path}"
    return daemon


def test_an_agent_connects_by_a_unix_socket(tmp_path: Path, path: Path) -> None:
    with listening(tmp_path, path) as daemon:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        env = clean_environment() | {
            "PEEPS_DASHBOARD": f"unix:{path}",
            "PYTHONPATH": str(ROOT / "client_agent"),
        }
        program = "import peeps, sys; peeps.start('by-unix'); sys.stdin.read()"
        process = subprocess.Popen([sys.executable, "-c", program], env=env, stdin=subprocess.PIPE)
        try:
            # The start-up line may have connected it before, under another name.
            wait_until(lambda: names_of_connected(daemon) == ["by-unix"], "its name")
            (answer,) = daemon.jump()["processes"]
        finally:
            process.communicate()
    assert answer["status"] == "responded"
    assert answer["process"] == "by-unix"
    assert not path.exists(), "a daemon that was stopped takes its socket with it"


def test_the_socket_of_a_dead_daemon_is_replaced_and_of_a_living_one_is_not(
    tmp_path: Path, path: Path
) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with listening(tmp_path, path):
        other = subprocess.run(
            [sys.executable, "-m", "peepsd", "--listen", f"unix:{path}", "--http", "127.0.0.1:0",
             "--db", str(tmp_path / "other.sqlite")],
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=60,
        )  # fmt: skip
        assert other.returncode == 1
        assert "cannot listen on unix:" in other.stderr
        assert path.exists()


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path, path: Path) -> None:
    path.write_text("precious")
    with pytest.raises(AssertionError, match="ended before it was ready"):
        listening(tmp_path, path).start()
    assert path.read_text() == "precious"
