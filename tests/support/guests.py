"""Real programs with the agent in them: which interpreter, how they start, how they surely end.

A guest runs in a virtual environment of its own that holds the start-up line, as after
`pip install peeps`, and sees this repository's agent. The versions of Python that are not the
tests' own borrow its installed libraries: those written in Python alone work in all.
"""

import contextlib
import fcntl
import os
import select
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, ParamSpec, TypeVar

from .daemon import clean_environment

REPO = Path(__file__).parents[2]
AGENT = REPO / "client_agent"
VERSIONS = ("3.11", "3.12", "3.13")
OWN = f"{sys.version_info[0]}.{sys.version_info[1]}"
DEADLINE_S = 60.0

P = ParamSpec("P")
R = TypeVar("R")


_making = threading.RLock()


def once(function: Callable[P, R]) -> Callable[P, R]:
    """A function whose results are kept; other threads wait while a result is being made."""
    kept = cache(function)

    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with _making:
            return kept(*args, **kwargs)  # type: ignore[arg-type]

    return call


@once
def find_python(version: str) -> str | None:
    """A working interpreter of that version; None if there is none on this machine."""
    if version == OWN:
        return sys.executable
    roots = [os.environ.get("PYENV_ROOT"), str(Path.home() / ".pyenv")]
    found = [shutil.which(f"python{version}")]
    for root in filter(None, roots):
        versions = sorted(Path(root, "versions").glob(f"{version}.*"))
        found += [str(path / "bin" / f"python{version}") for path in reversed(versions)]
    for python in filter(None, found):
        command = [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        try:
            said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        except OSError:
            continue
        if said.stdout.strip() == version:  # a pyenv shim without that version says nothing
            return python
    return None


@once
def guest_python(version: str = OWN) -> str | None:
    """The interpreter of a virtual environment in which the agent starts by itself."""
    base = find_python(version)
    if base is None:
        return None
    # Lives as long as the test run: the object is kept by the cache of this function.
    home = Path(_temporary().name) / version
    subprocess.run([base, "-m", "venv", "--without-pip", str(home)], check=True, timeout=120)
    site = home / "lib" / f"python{version}" / "site-packages"
    borrowed = [str(AGENT), sysconfig.get_path("purelib")]
    # Sorted before the start-up line, which imports from the first of them.
    (site / "a-guest.pth").write_text("\n".join(borrowed) + "\n")
    shutil.copy(AGENT / "peeps-autostart.pth", site)
    return str(home / "bin" / "python")


@once
def _temporary() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(prefix="peeps-guests-")


@once
def can_import(version: str, module: str) -> bool:
    """Whether a guest of that version can import a library."""
    python = guest_python(version)
    command = [str(python), "-c", f"import {module}"]
    return subprocess.run(command, capture_output=True, timeout=120, check=False).returncode == 0


class Guest:
    """A running program and all it starts. `with Guest([...]) as guest:`

    They form one process group, which is killed at the end. Their standard input is a pipe with
    a signal on hang-up, so that they end even if the test run itself is killed.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        dashboard: str | None = None,
        version: str = OWN,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        python = guest_python(version)
        assert python is not None
        settings = dict(env or {})
        if dashboard is not None:
            settings["PEEPS_DASHBOARD"] = dashboard
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self._said = b""
        self._unread = b""
        read_end, self._lifeline = os.pipe()
        self.process = subprocess.Popen(
            [python, *arguments],
            stdin=read_end,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=clean_environment() | settings,
            cwd=cwd,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        self._out = self.process.stdout
        self.pid = self.process.pid
        fcntl.fcntl(read_end, fcntl.F_SETOWN, -self.pid)
        fcntl.fcntl(read_end, fcntl.F_SETFL, os.O_ASYNC)  # SIGIO ends a process by default
        os.close(read_end)

    def __enter__(self) -> "Guest":
        return self

    def __exit__(self, *exc: object) -> None:
        self.kill()
        self._out.close()
        self._errors.close()

    def kill(self) -> None:
        """End it and everything it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1

    def wait_for_line(self, text: str, deadline_s: float = DEADLINE_S) -> str:
        """Until it prints a line that starts with `text`; the line."""
        end = time.monotonic() + deadline_s
        while True:
            while b"\n" in self._unread:
                line, self._unread = self._unread.split(b"\n", 1)
                if line.startswith(text.encode()):
                    return line.decode()
            left = end - time.monotonic()
            if left <= 0 or not self._read_some(left):
                raise AssertionError(f"never said {text!r}: {self.describe()}")

    def _read_some(self, timeout_s: float) -> bool:
        if not select.select([self._out], [], [], timeout_s)[0]:
            return False
        data = os.read(self._out.fileno(), 65536)
        self._said += data
        self._unread += data
        return bool(data)

    def has_said(self, text: str) -> bool:
        """Whether it has printed a line that starts with `text` so far."""
        while select.select([self._out], [], [], 0)[0] and self._read_some(0):
            pass
        return any(line.startswith(text.encode()) for line in self._said.splitlines())

    def wait(self, deadline_s: float = DEADLINE_S) -> int:
        """Until it has ended by itself; its exit status. Its output is kept."""
        end = time.monotonic() + deadline_s
        while self._read_some(max(0.0, end - time.monotonic())):
            pass
        try:
            return self.process.wait(max(0.1, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise AssertionError(f"did not end: {self.describe()}") from None

    @property
    def output(self) -> str:
        """What it has printed so far."""
        self.has_said("")
        return self._said.decode(errors="replace")

    @property
    def errors(self) -> str:
        """What it has written to standard error so far."""
        return os.pread(self._errors.fileno(), 1 << 20, 0).decode(errors="replace")

    def describe(self) -> str:
        """For a failing test's message."""
        state = self.process.poll()
        return (
            f"exit status {state}; printed:\n{self._said.decode(errors='replace')}"
            f"\nstandard error:\n{self.errors}"
        )
