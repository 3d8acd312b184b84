"""The blocking calls of the standard library as they were before anybody replaced them.

gevent and eventlet replace sockets, time.sleep and locks by versions that switch greenlets. The
agent's thread is a real thread and must really block, so it takes the originals: C types where
there are some (they cannot be replaced), else what the patching library saved. Decides nothing
else. Import it late: what it finds at import is what it keeps.
"""

import _socket
import sys
import time
from _thread import start_new_thread as _start_new_thread
from collections.abc import Callable
from typing import Any

perf_counter = time.perf_counter
monotonic = time.monotonic
time_ns = time.time_ns
perf_counter_ns = time.perf_counter_ns
CSocket = _socket.socket
"""The C socket type below socket.socket; it blocks, whoever patched the module above it."""


def _original(module: str, name: str) -> Any:
    """`module.name` before patching."""
    gevent = sys.modules.get("gevent.monkey")
    if gevent is not None:
        return gevent.get_original(module, name)
    eventlet = sys.modules.get("eventlet.patcher")
    if eventlet is not None:
        return getattr(eventlet.original(module), name)
    return getattr(__import__(module), name)


def _or_else(module: str, name: str, fallback: Any) -> Any:
    try:
        return _original(module, name)
    except Exception:  # a patching library of another shape: better patched than broken
        return fallback


sleep: Callable[[float], None] = _or_else("time", "sleep", time.sleep)
start_new_thread: Callable[..., int] = _or_else("_thread", "start_new_thread", _start_new_thread)
get_ident: Callable[[], int] = _or_else("_thread", "get_ident", __import__("_thread").get_ident)
allocate_lock: Callable[[], Any] = _or_else(
    "_thread", "allocate_lock", __import__("_thread").allocate_lock
)
poll: Callable[[], Any] = _or_else("select", "poll", None)
POLLIN, POLLOUT = 1, 4
get_native_id: Callable[[], int] = __import__("_thread").get_native_id
