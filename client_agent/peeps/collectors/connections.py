"""From an object of a network library to the connection behind it.

Decides which attributes lead from a stream, a protocol or a request to its transport or socket:
one fixed list of names, followed statically, a few steps deep, never into containers. Which steps
lead to a connection is learnt once per class. Refuses to know tasks and threads. Runs in the cut:
nothing here asks the kernel, which could hand the interpreter lock to somebody else.
"""

import _socket
import contextlib
import socket
import sys
import types
import weakref
from typing import Any

from ..statics import MISSING, class_attribute, class_module, module_of, name_of, static_get

_NAMES = (
    "_transport",
    "transport",
    "_sock",
    "socket",
    "_socket",
    "_trio_socket",
    "_raw_socket",
    "transport_stream",
    "_network_stream",
    "stream",
    "_stream",
    "writer",
    "_writer",
    "_reader",
    "_protocol",
    "protocol",
    "_connection",
    "conn",
    "_conn",
    "_request",
    "_stream_reader",
    "send",
    "raw",
    "_sslproto",
    "_ssl_protocol",
    "connection",
)
_LIBRARIES = frozenset(
    (
        *("asyncio", "uvloop", "trio", "anyio", "ssl", "socket", "http", "socketserver", "_io"),
        *("httpcore", "httpx", "httpcore2", "httpx2", "aiohttp", "urllib3", "requests", "h2"),
        *("uvicorn", "hypercorn", "granian", "daphne", "starlette", "wsproto", "websockets"),
        *("redis", "asyncpg", "psycopg", "aiomysql", "pymysql", "pymongo"),
    )
)
_DEPTH = 5
_FOREIGN_DEPTH = 2
"""How many steps are followed once an object of the program's own has been met."""
_PLAIN = frozenset(
    id(cls)  # hashing a class may run its metaclass
    for cls in (
        type(None),
        int,
        str,
        bytes,
        bytearray,
        float,
        bool,
        dict,
        list,
        set,
        frozenset,
        tuple,
        type,
        types.FunctionType,
        types.CodeType,
        types.ModuleType,
        types.CoroutineType,
        types.GeneratorType,
    )
)

Handle = tuple[Any, Any] | weakref.ref[Any] | int
"""A connection, without a reference to it: its two addresses as the library keeps them, a weak
reference to the socket, or the number of the open file, both to be asked about after the cut."""

_Path = tuple[str, ...]


class ConnectionFinder:
    """Finds connections. Kept between cuts for the paths it has learnt."""

    MAX_CLASSES = 4096
    MAX_OBJECTS = 50_000
    MAX_FAILURES = 3
    RETRY_EVERY = 64
    """A class that has led nowhere so often is searched again this seldom: it costs time."""

    def __init__(self) -> None:
        self._paths: dict[int, tuple[weakref.ref[type], list[_Path], int]] = {}
        """By class: what has led to a connection, and how often in a row nothing has."""
        self._objects: dict[int, tuple[weakref.ref[Any], Handle]] = {}

    def find(self, value: Any) -> Handle | None:
        """The connection that an object leads to, or None."""
        kind = type(value)
        if id(kind) in _PLAIN:
            return None
        known = self._objects.get(id(value))
        if known is not None and known[0]() is value:
            return known[1]
        if kind is types.MethodType:
            return self.find(value.__self__)
        if kind is types.CellType:
            try:
                return self.find(value.cell_contents)
            except ValueError:
                return None
        handle = self._find_by_class(value, kind)
        if type(handle) is tuple:
            self._remember(value, handle)
        return handle

    def _find_by_class(self, value: Any, kind: type) -> Handle | None:
        known = self._paths.get(id(kind))
        if known is not None and known[0]() is not kind:
            known = None
        reference, paths, failures = known or (weakref.ref(kind), [], 0)
        for path in paths:
            handle = _follow(value, path)
            if handle is not None:
                return handle
        if failures >= self.MAX_FAILURES and failures % self.RETRY_EVERY:
            self._paths[id(kind)] = (reference, paths, failures + 1)
            return None
        path_found = _search(value, _DEPTH, set())
        if len(self._paths) >= self.MAX_CLASSES:
            self._paths.clear()
        if path_found is None:
            self._paths[id(kind)] = (reference, paths, failures + 1)
            return None
        self._paths[id(kind)] = (reference, [path_found, *paths][:4], 0)
        return _follow(value, path_found)

    def _remember(self, value: Any, handle: Handle) -> None:
        """What an object leads to stays so: the addresses of a connection never change."""
        if len(self._objects) >= self.MAX_OBJECTS:
            self._objects.clear()
        with contextlib.suppress(TypeError):  # not every class can be referred to weakly
            self._objects[id(value)] = (weakref.ref(value), handle)


def handle_of(value: Any) -> Handle | None:
    """The connection that an object itself is: a socket, or an asyncio transport of one."""
    kind = type(value)
    if issubclass(kind, socket.socket):
        return weakref.ref(value) if _is_connected(value) else None
    if module_of(kind) == "uvloop.loop" and name_of(kind).endswith("Transport"):
        # Written in C: its own method runs no code of the program.
        info = value.get_extra_info
        return _ends(info("sockname"), info("peername"), info("socket"))
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None and issubclass(kind, asyncio.BaseTransport):
        extra = static_get(value, "_extra")
        if type(extra) is dict:
            return _ends(extra.get("sockname"), extra.get("peername"), extra.get("socket"))
    return None


def _ends(local: Any, remote: Any, transport_socket: Any) -> Handle | None:
    if type(local) is tuple and type(remote) is tuple:
        return (local, remote)
    # A Unix socket: its names do not tell it from others, its inode does.
    inner = static_get(transport_socket, "_sock")
    if inner is not MISSING and issubclass(type(inner), socket.socket):
        return weakref.ref(inner) if _is_connected(inner) else None
    if class_module(transport_socket) == "uvloop.loop":
        number = transport_socket.fileno()
        return number if type(number) is int and number >= 0 else None
    return None


_fileno = _socket.socket.fileno
_getsockopt = _socket.socket.getsockopt


def _is_connected(connection: Any) -> bool:
    """Whether a socket is open and does not listen. Neither call gives up the interpreter lock."""
    try:
        return _fileno(connection) >= 0 and not _getsockopt(
            connection, socket.SOL_SOCKET, socket.SO_ACCEPTCONN
        )
    except (OSError, TypeError):  # closed; or a patching library's socket
        return False


def _follow(value: Any, path: _Path) -> Handle | None:
    for name in path:
        value = _step(value, name)
        if value is None:
            return None
    return handle_of(value)


def _step(value: Any, name: str) -> Any:
    found = static_get(value, name)
    if found is MISSING:
        return None
    return found.__self__ if type(found) is types.MethodType else found


def _search(value: Any, depth: int, seen: set[int]) -> _Path | None:
    """The names that lead from an object to a connection."""
    if value is None or id(type(value)) in _PLAIN or id(value) in seen:
        return None
    seen.add(id(value))
    if handle_of(value) is not None:
        return ()
    if depth == 0:
        return None
    is_library = _library_of(type(value)) in _LIBRARIES
    for name in _NAMES:
        inner = _step(value, name)
        if inner is None or inner is value:
            continue
        left = depth - 1 if is_library else min(depth - 1, _FOREIGN_DEPTH)
        path = _search(inner, left, seen)
        if path is not None:
            return (name, *path)
    return None


def _library_of(cls: type) -> str:
    module = class_attribute(cls, "__module__")
    return module.partition(".")[0] if type(module) is str else ""
