"""The child's half of a worker: reads a request, answers it, reads the next.

Decides how bytes are framed on the pipes, what the child may use of the machine, and when it
dies. Refuses to know what it answers: that is a function `bytes -> bytes` named by the starter.
Standard library only: it runs under `python -I -S`.

Frame, both ways: one byte of kind, u64 big-endian length, payload.
"""

import importlib
import json
import os
import resource
import select
import struct
import sys
import threading
import traceback
from collections.abc import Callable
from typing import BinaryIO, Final

Handle = Callable[[bytes], bytes | bytearray]

HEADER: Final = struct.Struct(">BQ")
READY: Final = 0  # child: it is up
REQUEST: Final = 1  # parent
REPLY: Final = 2  # child: what the function returned
FAILED: Final = 3  # child: the function raised; the traceback as text

MAX_PAYLOAD_BYTES: Final = 512 * 1024 * 1024
"""More is a broken child, not an answer."""

_RLIMITS: Final = {
    "memory_bytes": resource.RLIMIT_AS,
    "file_bytes": resource.RLIMIT_FSIZE,
    "open_files": resource.RLIMIT_NOFILE,
    "core_bytes": resource.RLIMIT_CORE,
    "processes": resource.RLIMIT_NPROC,
}


def main(argv: list[str]) -> None:
    """Run `argv[0]`, "package.module:function", under the limits of `argv[1]`, a JSON object."""
    module, _, function = argv[0].partition(":")
    limits: dict[str, int] = json.loads(argv[1])
    requests, replies = _take_over_pipes()
    handle: Handle = getattr(importlib.import_module(module), function)
    _die_with_parent(requests.fileno())
    _apply(limits)
    serve(handle, requests, replies)


def serve(handle: Handle, requests: BinaryIO, replies: BinaryIO) -> None:
    """Answer requests one at a time until the parent closes its end."""
    _send(replies, READY, b"")
    while (request := _receive(requests)) is not None:
        try:
            kind, payload = REPLY, handle(request)
        except Exception:
            kind, payload = FAILED, traceback.format_exc().encode(errors="replace")
        del request  # it may be large, and the wait for the next one long
        _send(replies, kind, payload)
        del payload


def _take_over_pipes() -> tuple[BinaryIO, BinaryIO]:
    """The pipes to the parent, moved to where a stray print cannot reach them."""
    requests = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return requests, replies


def _die_with_parent(pipe: int) -> None:
    """End this process, whatever it is doing, when nobody can read its answer any more.

    Not PR_SET_PDEATHSIG: that signal comes when the *thread* that started us ends, and the
    parent's threads come and go.
    """

    def watch() -> None:
        poll = select.poll()
        poll.register(pipe, 0)  # reports nothing but the hang-up
        poll.poll()
        os._exit(0)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def _apply(limits: dict[str, int]) -> None:
    """Give up what will not be needed. A limit that is already lower stays."""
    for name, value in limits.items():
        if name == "nice":
            os.nice(value)
            continue
        which = _RLIMITS[name]
        _, hard = resource.getrlimit(which)
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        try:
            resource.setrlimit(which, (value, value))
        except (ValueError, OSError):
            if sys.platform == "linux":  # other systems do not have them all
                raise


def _receive(stream: BinaryIO) -> bytes | None:
    header = stream.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    kind, length = HEADER.unpack(header)
    if kind != REQUEST or length > MAX_PAYLOAD_BYTES:
        sys.exit(f"not a request: kind {kind}, {length} bytes")
    payload = stream.read(length)
    return payload if len(payload) == length else None


def _send(stream: BinaryIO, kind: int, payload: bytes | bytearray) -> None:
    stream.write(HEADER.pack(kind, len(payload)))
    rest = memoryview(payload)
    while rest:
        rest = rest[stream.write(rest) :]
