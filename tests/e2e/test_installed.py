"""The built wheel, installed elsewhere: everything it needs is in it."""

import subprocess
import zipfile
from pathlib import Path

import pytest

from ..support.daemon import clean_environment
from ..support.installed import build_wheel, install


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def bin_dir(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("installed"), wheel)


def run(*command: object, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(c) for c in command],
        cwd=cwd,
        env=clean_environment() | env,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_wheel_holds_what_is_not_python(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"peepsd/schema.sql", "peeps-autostart.pth", "peeps/py.typed"} <= names
    assert not [n for n in names if n.startswith(("tests/", "bench/", "examples/"))]


def test_the_daemon_makes_its_database_from_the_installed_schema(
    bin_dir: Path, tmp_path: Path
) -> None:
    code = (
        "import peepsd.store.schema as s, sys; assert 'site-packages' in s.__file__;"
        "print(s.prepare_database('x.sqlite', 0))"
    )
    done = run(bin_dir / "python", "-c", code, cwd=tmp_path)
    assert done.stdout.strip() == "['created x.sqlite']", done.stderr


@pytest.mark.parametrize("command", ["peepsd", "peeps"])
def test_the_commands_are_there(bin_dir: Path, tmp_path: Path, command: str) -> None:
    done = run(bin_dir / command, "--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


@pytest.mark.parametrize("command", ["peepsd", "peeps"])
def test_without_the_extra_a_command_says_what_to_install(
    wheel: Path, tmp_path: Path, command: str
) -> None:
    bare = install(tmp_path, wheel, borrow=False)
    done = run(bare / command, "--help", cwd=tmp_path)
    assert done.returncode == 2
    assert "pip install 'peeps[daemon]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_agent_alone_can_run_a_program(wheel: Path, tmp_path: Path) -> None:
    bare = install(tmp_path, wheel, borrow=False)
    code = "import os; print(os.environ['PEEPS_DASHBOARD'])"
    words = ["run", "--dashboard", "127.0.0.1:1", "--", str(bare / "python"), "-c", code]
    done = run(bare / "peeps", *words, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "127.0.0.1:1\n", "")
    assert "Usage: peeps run" in run(bare / "peeps", "run", "--help", cwd=tmp_path).stdout


@pytest.mark.parametrize(
    ("arguments", "env", "said"),
    [
        (["--timeout-ms", "soon"], {}, "--timeout-ms: 'soon' is not a whole number"),
        ([], {"PEEPS_TIMEOUT": "5"}, "PEEPS_TIMEOUT is not a setting of peeps"),
        ([], {"PEEPS_LISTEN": "0.0.0.0:9119"}, "PEEPS_TOKEN is not set"),
        (["--listne", "x"], {}, "No such option"),
    ],
)
def test_a_wrong_setting_is_exit_status_2(
    bin_dir: Path, tmp_path: Path, arguments: list[str], env: dict[str, str], said: str
) -> None:
    done = run(bin_dir / "peepsd", *arguments, cwd=tmp_path, **env)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_newer_database_is_refused_with_a_clear_error(bin_dir: Path, tmp_path: Path) -> None:
    code = "import sqlite3; sqlite3.connect('n.sqlite').execute('PRAGMA user_version = 99')"
    run(bin_dir / "python", "-c", code, cwd=tmp_path)
    done = run(bin_dir / "peepsd", "--db", "n.sqlite", cwd=tmp_path)
    assert done.returncode == 2
    assert "newer peepsd" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_taken_port_is_a_clear_error(bin_dir: Path, tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        for flag in ("--listen", "--http"):
            other = "--http" if flag == "--listen" else "--listen"
            done = run(bin_dir / "peepsd", flag, address, other, "127.0.0.1:0", cwd=tmp_path)
            assert done.returncode == 1, done.stderr
            assert "cannot listen on" in done.stderr
            assert "Traceback" not in done.stderr
