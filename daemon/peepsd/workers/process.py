"""One child process: started, asked, killed.

Decides how a child is started and how bytes reach it without holding up the event loop.
Refuses to know who asks, and how many children there are (pool.py).
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import trio

from ..errors import PeepsError
from .child import FAILED, HEADER, MAX_PAYLOAD_BYTES, READY, REPLY, REQUEST

Payload = bytes | bytearray | memoryview

_CHUNK: Final = 256 * 1024
"""Bytes moved before other tasks get their turn."""

_JOIN_ELSEWHERE: Final = 1024 * 1024
"""From here on bytes.join releases the interpreter lock, so that a thread is worth it."""

_TAIL_BYTES: Final = 4096
"""How much of what a child wrote to stderr is kept for the error message."""

_REAP_S: Final = 5.0
_LAST_WORDS_S: Final = 1.0
"""How long a child whose pipe has closed may take to end and to have been heard."""

_ROOT: Final = str(Path(__file__).resolve().parents[2])
_START: Final = (
    "import sys; sys.path += sys.argv[1].split(chr(58)); "
    "from peepsd.workers.child import main; main(sys.argv[2:])"
)


class WorkerDied(PeepsError):
    """The child ended without an answer; its successor is on its way."""


class WorkerFailed(PeepsError):
    """The function in the child raised: a defect. The child lives on."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a child may use. None: no limit of ours. Sizes in bytes; `nice` is an increment."""

    memory_bytes: int | None = None
    file_bytes: int | None = None
    open_files: int | None = None
    processes: int | None = None
    nice: int = 0
    core_bytes: int = 0

    def as_argument(self) -> str:
        """The JSON that child.main reads."""
        return json.dumps({k: v for k, v in asdict(self).items() if v is not None})


@dataclass(frozen=True, slots=True)
class Spec:
    """What to run: `target` is "package.module:function", a function `bytes -> bytes`."""

    target: str
    limits: Limits = Limits()
    env: Mapping[str, str] | None = None
    site_packages: bool = True
    """Whether the child may import anything but the standard library and peepsd."""
    import_from: tuple[str, ...] = ()
    """Further directories that `target` may be in."""

    def command(self) -> list[str]:
        """The command line. -I: no environment variable, script directory or user site counts."""
        flags = ["-I"] if self.site_packages else ["-I", "-S"]
        return [
            sys.executable,
            *flags,
            "-c",
            _START,
            ":".join((_ROOT, *self.import_from)),
            self.target,
            self.limits.as_argument(),
        ]


class WorkerProcess:
    """A running child. Made by `run`, which attends it until it has ended and is reaped."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._tail = bytearray()
        self._drained = trio.Event()

    @classmethod
    async def run(
        cls,
        spec: Spec,
        *,
        start_deadline_s: float,
        task_status: "trio.TaskStatus[WorkerProcess]" = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Start a child, report it once it is ready, stay until it has ended.

        Cancelling kills it. Raises WorkerDied if it does not become ready in time, OSError if it
        cannot be started at all.
        """
        process = await trio.lowlevel.open_process(
            spec.command(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(spec.env or {}),
            cwd="/",
            start_new_session=True,
        )
        worker = cls(process)
        failure: WorkerDied | WorkerFailed | None = None
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(worker._drain_stderr)
                failure = await worker._wait_ready(start_deadline_s)
                if failure is None:
                    task_status.started(worker)
                    await process.wait()
                    with trio.move_on_after(_LAST_WORDS_S):
                        await worker._drained.wait()
                nursery.cancel_scope.cancel()
            if failure is not None:
                raise failure
        finally:
            await worker._reap()

    @property
    def pid(self) -> int:
        """Its process id, which is also its session and process group."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Whether it has not ended, as far as the system tells."""
        return self._process.poll() is None

    def kill(self) -> None:
        """SIGKILL it and all it may have started. Harmless if it has ended."""
        if self.is_alive():  # not reaped, so its id belongs to nobody else
            os.killpg(self.pid, signal.SIGKILL)

    async def exchange(self, request: Payload) -> bytes:
        """Send a request and return the answer.

        Raises WorkerDied, WorkerFailed. If cancelled, the child is in the middle of something and
        must be killed.
        """
        try:
            await self._send(request)
            return await self._receive(REPLY)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise await self._death() from None

    async def _wait_ready(self, deadline_s: float) -> WorkerDied | WorkerFailed | None:
        """None once it is up; else why it is not."""
        try:
            with trio.fail_after(deadline_s):
                await self._receive(READY)
        except (WorkerDied, WorkerFailed) as error:
            return error
        except trio.TooSlowError:
            return WorkerDied(f"worker {self.pid} was not ready after {deadline_s:g} s")
        return None

    async def _send(self, request: Payload) -> None:
        assert self._process.stdin is not None
        await self._process.stdin.send_all(HEADER.pack(REQUEST, len(request)))
        with memoryview(request) as view:
            for start in range(0, len(view), _CHUNK):
                await self._process.stdin.send_all(view[start : start + _CHUNK])

    async def _receive(self, expected: int) -> bytes:
        kind, length = HEADER.unpack(await self._read(HEADER.size))
        if length > MAX_PAYLOAD_BYTES or kind not in (expected, FAILED):
            self.kill()
            raise WorkerDied(f"it broke the protocol: kind {kind}, {length} bytes")
        payload = await self._read(length)
        if kind == FAILED:
            raise WorkerFailed(f"worker {self.pid} failed: {_last_line(payload)}")
        return payload

    async def _read(self, length: int) -> bytes:
        assert self._process.stdout is not None
        chunks: list[bytes] = []
        missing = length
        while missing:
            chunk = await self._process.stdout.receive_some(min(missing, _CHUNK))
            if not chunk:
                raise await self._death()
            chunks.append(bytes(chunk))  # it is already
            missing -= len(chunk)
        if length >= _JOIN_ELSEWHERE:
            return await trio.to_thread.run_sync(b"".join, chunks)
        return b"".join(chunks)

    async def _death(self) -> WorkerDied:
        """Why it ended, once that is known: its exit status and last words."""
        with trio.move_on_after(_LAST_WORDS_S):
            await self._process.wait()
            await self._drained.wait()
        status = self._process.poll()
        if status is None:
            how = "closed its pipe but lives on"
        elif status < 0:
            how = f"was killed by {signal.Signals(-status).name}"
        else:
            how = f"ended with status {status}"
        said = _last_line(bytes(self._tail))
        return WorkerDied(f"worker {self.pid} {how}" + (f": {said}" if said else ""))

    async def _drain_stderr(self) -> None:
        assert self._process.stderr is not None
        try:
            async for chunk in self._process.stderr:
                self._tail += chunk
                del self._tail[:-_TAIL_BYTES]
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            self._drained.set()

    async def _reap(self) -> None:
        self.kill()
        with trio.move_on_after(_REAP_S, shield=True):
            await self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with trio.CancelScope(shield=True):
                    await trio.aclose_forcefully(stream)


def _last_line(text: bytes) -> str:
    lines = text.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""
