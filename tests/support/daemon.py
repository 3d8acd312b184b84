"""A real peepsd in a child process, on ports of its own, for tests from outside."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

START_DEADLINE_S = 60.0
WARNINGS = ("-W", "error", "-W", "ignore::DeprecationWarning:trio_asyncio._loop")
"""trio-asyncio's import warns on newer Pythons; everything else is an error."""


def clean_environment() -> dict[str, str]:
    """This process's environment without any setting of peeps."""
    return {k: v for k, v in os.environ.items() if not k.startswith("PEEPS_")}


class Daemon:
    """`with Daemon(tmp_path) as daemon:`: ready on entry, stopped and reaped on exit."""

    def __init__(self, directory: Path, *flags: str, env: dict[str, str] | None = None) -> None:
        self.db = directory / "peeps.sqlite"
        self._log_path = directory / "peepsd.log"
        self._flags = flags
        self.listen_on = "127.0.0.1:0"
        self._env = env or {}
        self.process: subprocess.Popen[bytes]
        self.listen = ("127.0.0.1", 0)
        self.url = ""

    def __enter__(self) -> "Daemon":
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        if exc is not None:
            sys.stderr.write(f"--- log of peepsd ---\n{self.log()}\n")

    def start(self) -> None:
        """Start it and wait until it is ready."""
        arguments = ["--db", str(self.db), "--listen", self.listen_on, "--http", "127.0.0.1:0"]
        with self._log_path.open("ab") as log:
            offset = log.tell()
            self.process = subprocess.Popen(
                [sys.executable, *WARNINGS, "-m", "peepsd", *arguments, *self._flags],
                stderr=subprocess.PIPE,
                stdout=log,
                env=clean_environment() | self._env,
            )
        try:
            ready = self._wait_until_ready(offset)
        except AssertionError:
            self.stop(signal.SIGKILL)
            raise
        host, _, port = ready["listen"].rpartition(":")
        if not host.startswith("unix"):
            self.listen = (host, int(port))
        self.url = ready["http"]

    def _wait_until_ready(self, offset: int) -> dict[str, Any]:
        """Copy the log to its file from now on; returns the line that says ready."""
        import threading

        assert self.process.stderr is not None
        found: dict[str, Any] = {}
        is_ready = threading.Event()

        def copy(pipe: Any) -> None:
            with self._log_path.open("ab", buffering=0) as log:
                for line in pipe:
                    log.write(line)
                    if b'"event": "ready"' in line:
                        found.update(json.loads(line))
                        is_ready.set()
            is_ready.set()
            pipe.close()

        self._copier = threading.Thread(target=copy, args=(self.process.stderr,), daemon=True)
        self._copier.start()
        assert is_ready.wait(START_DEADLINE_S), "peepsd did not start in time"
        assert found, f"peepsd ended before it was ready:\n{self.log()}"
        return found

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and reap it; returns the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            status = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self._copier.join(10)
        return status

    def log(self) -> str:
        """All it has logged."""
        return self._log_path.read_text()

    @property
    def dashboard(self) -> str:
        """What PEEPS_DASHBOARD must be for its processes."""
        return f"{self.listen[0]}:{self.listen[1]}"

    def get(self, path: str, **kwargs: Any) -> httpx.Response:
        """GET from its HTTP API."""
        return httpx.get(self.url + path, timeout=60, **kwargs)

    def post(self, path: str, body: Any = None) -> httpx.Response:
        """POST JSON, or nothing, to its HTTP API."""
        if body is None:
            return httpx.post(self.url + path, timeout=60)
        return httpx.post(self.url + path, json=body, timeout=60)

    def jump(self, **body: Any) -> dict[str, Any]:
        """Take a snapshot; its summary."""
        response = self.post("/api/jump-now", body or None)
        assert response.status_code == 200, response.text
        summary: dict[str, Any] = response.json()
        return summary
