"""What the children of test_worker_pool.py do when asked: well-behaved, rude and deadly."""

import gc
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path


def echo(request: bytes) -> bytes:
    return request


def pid(request: bytes) -> bytes:
    return str(os.getpid()).encode()


def misbehave(request: bytes) -> bytes:
    """Do what the request names."""
    order, _, argument = request.decode().partition(" ")
    match order:
        case "pid":
            return str(os.getpid()).encode()
        case "sleep":
            time.sleep(float(argument))
        case "wait-for":
            while not Path(argument).exists():
                time.sleep(0.01)
        case "hold-lock":  # one C call that keeps the interpreter lock for many seconds
            gc.disable()
            _ = 7**40_000_000
        case "raise":
            raise ValueError(argument)
        case "exit":
            print(argument, file=sys.stderr)
            sys.stderr.flush()
            os._exit(3)
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "print":
            print("stray output", flush=True)
            os.write(1, b"stray bytes")
        case "shout":
            for _ in range(4096):
                print("x" * 1024, file=sys.stderr)
        case "close-pipe":
            os.closerange(3, 64)
            time.sleep(60)
        case "garbage":
            for fd in range(3, 16):
                try:
                    os.write(fd, b"\xff" * 64)
                except OSError:
                    continue
            time.sleep(60)
        case "fill-memory":
            return str(len(bytearray(int(argument)))).encode()
        case "write-file":
            Path(argument).write_bytes(b"x" * 4096)
        case "facts":
            return json.dumps(facts()).encode()
        case "echo":
            return argument.encode()
    return b"done"


def facts() -> dict[str, object]:
    """What this child knows of its surroundings."""
    return {
        "environment": {k: v for k, v in os.environ.items() if k not in ("LC_CTYPE",)},
        "cwd": str(Path.cwd()),
        "nice": os.nice(0),
        "session_leader": os.getsid(0) == os.getpid(),
        "isolated": bool(sys.flags.isolated),
        "no_site": bool(sys.flags.no_site),
        "stdin": os.read(0, 10).decode(),
        "open_files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        "core_bytes": resource.getrlimit(resource.RLIMIT_CORE)[0],
        "agent_loaded": "peeps" in sys.modules,
    }


def no_such_thing_below() -> None:
    """Named by a test as `worker_targets:missing`, which does not exist."""
