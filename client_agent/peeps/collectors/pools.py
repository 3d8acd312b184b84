"""Connection pools: how large and how used, who waits for a connection, and who has one.

Decides from tables which function of which library waits for which pool, and which objects mean
that their owner has a connection of a pool. A library of another shape than the tables know is
not told about: nothing is guessed. Refuses to know executors (`executors`) and sockets. Hooks run
in the cut and note plain values; a pool is looked at for its counts only.
"""

import sys
from collections.abc import Iterable, Sequence
from contextlib import _GeneratorContextManagerBase
from dataclasses import dataclass, field
from types import BuiltinMethodType, CodeType, MethodType
from typing import Any, NamedTuple

from .. import unpatched
from ..awaitables import argument, slots, uncell
from ..cut import Cut, Seen
from ..graph import Graph, Ref, told_apart
from ..statics import (
    MISSING,
    bases_of,
    class_module,
    class_name,
    has_on_class,
    is_a,
    name_of,
    static_get,
    static_path,
    type_name,
)
from .frame_values import View
from .known_calls import find_code_in
from .thread_waits import ThreadWait


class User(NamedTuple):
    """A function that takes a connection from a pool and works with it."""

    module: str
    function: str
    pool: str
    """Path from its first argument to the pool; "" if that is the pool."""
    waits_in: frozenset[str]
    """Functions right below it which mean that it has no connection yet."""
    has_it_else: bool
    """Whether it has a connection whenever it does not wait for one."""


def _users(modules: str, function: str, pool: str, waits_in: str, has_it: bool) -> list[User]:
    return [User(m, function, pool, frozenset((waits_in,)), has_it) for m in modules.split()]


_ANY = "*"
_HTTPCORE_ASYNC = "httpcore._async.connection_pool httpcore2._async.connection_pool"
_HTTPCORE = "httpcore._sync.connection_pool httpcore2._sync.connection_pool"
_GET = "BlockingConnectionPool.get_connection"
_SEND = "Redis.execute_command"

USERS = (
    *_users(
        _HTTPCORE_ASYNC, "AsyncConnectionPool.handle_async_request", "", "wait_for_connection", True
    ),
    *_users(_HTTPCORE, "ConnectionPool.handle_request", "", "wait_for_connection", True),
    *_users("aiohttp.connector", "BaseConnector._wait_for_available_connection", "", _ANY, False),
    *_users("sqlalchemy.pool.impl", "QueuePool._do_get", "", "get", False),
    *_users("redis.asyncio.connection", _GET, "", "wait_for", False),
    *_users("redis.connection", _GET, "", "get", False),
    *_users("redis.asyncio.client redis.client", _SEND, "connection_pool", "get_connection", True),
)

LEASES: tuple[tuple[str, str, str], ...] = (
    ("httpx", "Response", "stream._stream._httpcore_stream._pool"),
    ("httpx2", "Response", "stream._stream._httpcore_stream._pool"),
    ("asyncpg.pool", "PoolConnectionProxy", "_holder._pool"),
    ("aiohttp.client_reqrep", "ClientResponse", "_connection._connector"),
    ("aiohttp.client", "_BaseRequestContextManager", "_resp._connection._connector"),
    ("aiohttp.client", "_RequestContextManager", "_resp._connection._connector"),
    ("aiohttp.connector", "Connection", "_connector"),
    ("sqlalchemy.engine.base", "Connection", "_dbapi_connection._pool"),
    ("sqlalchemy.pool.base", "_ConnectionFairy", "_pool"),
)
"""Classes whose instances mean that their owner has a connection, and the path to its pool."""

COUNTS: dict[str, tuple[tuple[str, str], ...]] = {
    "AsyncConnectionPool": (
        ("size", "_max_connections"),
        ("open", "len(_connections)"),
        ("requests", "len(_requests)"),
    ),
    "TCPConnector": (("size", "_limit"), ("in_use", "len(_acquired)")),
    "Pool": (("size", "_maxsize"), ("min_size", "_minsize"), ("open", "len(_holders)")),
    "QueuePool": (
        ("size", "_pool.maxsize"),
        ("max_overflow", "_max_overflow"),
        ("overflow", "_overflow"),
        ("idle", "len(_pool.queue)"),
    ),
    "BlockingConnectionPool": (
        ("size", "max_connections"),
        ("in_use", "len(_in_use_connections)"),
        ("idle", "len(_available_connections)"),
    ),
}
COUNTS["ConnectionPool"] = COUNTS["AsyncConnectionPool"]
COUNTS["UnixConnector"] = COUNTS["TCPConnector"]
_MAX_BARREN = 3
_THREADS_S = 0.005


def collector() -> "Pools":
    return Pools()


@dataclass(slots=True)
class Captured:
    """What the hooks noted, in plain values. Pools are told by id."""

    pools: dict[int, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    waits: set[tuple[Ref, int]] = field(default_factory=set)
    has: set[tuple[Ref, int]] = field(default_factory=set)


class Pools:
    """The Collector of connection pools."""

    name = "pools"

    def __init__(self) -> None:
        self._users: dict[int, User] = {}
        self._leases: dict[int, str] = {}
        self._kept: list[object] = []
        self._loaded: set[str] = set()
        self._barren: dict[tuple[int, ...], int] = {}
        self._captured = Captured()
        self._threads_until = 0.0

    def applies(self) -> bool:
        return True

    def prepare(self, cut: Cut) -> None:
        self._load()
        self._captured = Captured()
        self._threads_until = 0.0
        if len(self._barren) > 4096:
            self._barren.clear()
        if self._users or self._leases:
            cut.on_task.append(self._see_task)
            cut.on_thread.append(self._see_thread)

    def capture(self, cut: Cut) -> Captured:
        """Nothing more: tasks and threads were shown to the hooks."""
        return self._captured

    def _load(self) -> None:
        """Bind the tables of libraries that were imported since."""
        for user in USERS:
            if user.module in sys.modules and user.module + user.function not in self._loaded:
                self._loaded.add(user.module + user.function)
                code = find_code_in(user.module, user.function)
                if code is not None:
                    self._users[id(code)] = user
                    self._kept.append(code)
        for module, name, path in LEASES:
            if module in sys.modules and module + name not in self._loaded:
                self._loaded.add(module + name)
                cls = vars(sys.modules[module]).get(name)
                if isinstance(cls, type):
                    self._leases[id(cls)] = path
                    self._kept.append(cls)

    # ------------------------------------------------------------------ in the cut

    def _see_task(
        self,
        ref: Ref,
        links: Sequence[tuple[Any, CodeType]],
        target: object,
        target_ref: Ref | None,
    ) -> bool:
        shape = tuple([id(code) for _, code in links])
        if self._barren.get(shape, 0) >= _MAX_BARREN:
            return False
        found = False
        names = [code.co_name for _, code in links]
        for position, (link, code) in enumerate(links):
            user = self._users.get(id(code))
            if user is not None:
                found |= self._use(ref, user, argument(link, code), names[position + 1 :])
            elif code.co_qualname == "Pool._acquire.<locals>._acquire_impl":
                found |= self._wait_in_asyncpg(ref, slots(link, code), names[position + 1 :])
            for value in slots(link, code):
                found |= self._lease(ref, value)
        if not found:
            self._barren[shape] = self._barren.get(shape, 0) + 1
        return True

    def _see_thread(self, ref: Ref, views: Sequence[View], wait: ThreadWait | None) -> None:
        now = unpatched.monotonic()
        self._threads_until = self._threads_until or now + _THREADS_S
        shape = tuple([id(view.code) for view in views])
        if self._barren.get(shape, 0) >= _MAX_BARREN or now > self._threads_until:
            return
        found = False
        names = [view.code.co_name for view in views]
        for position, view in enumerate(views):
            user = self._users.get(id(view.code))
            if user is not None:
                found |= self._use(ref, user, view.argument(), names[:position][::-1])
            for value in _variables(view):
                found |= self._lease(ref, value)
        if not found:
            self._barren[shape] = self._barren.get(shape, 0) + 1

    def _use(self, ref: Ref, user: User, owner: Any, inner: Sequence[str]) -> bool:
        pool = static_path(owner, user.pool) if user.pool else owner
        if pool is MISSING or pool is None:
            return False
        is_waiting = _ANY in user.waits_in or any(name in user.waits_in for name in inner[:1])
        if is_waiting:
            self._captured.waits.add((ref, self._note(pool)))
        elif user.has_it_else:
            self._captured.has.add((ref, self._note(pool)))
        return True

    def _wait_in_asyncpg(self, ref: Ref, values: Sequence[Any], inner: Sequence[str]) -> bool:
        """asyncpg takes a connection in a function inside of a method: the pool is in a cell."""
        for value in [uncell(value) for value in values]:
            if class_module(value) == "asyncpg.pool" and has_on_class(value, "acquire"):
                if inner[:1] == ["get"]:
                    self._captured.waits.add((ref, self._note(value)))
                return True
        return False

    def _lease(self, ref: Ref, value: Any) -> bool:
        if type(value) is MethodType or type(value) is BuiltinMethodType:
            value = value.__self__  # the exit method of a `with`
            if is_a(value, _GeneratorContextManagerBase):
                inner = _variables_of(static_get(value, "gen"))
                return any(self._lease(ref, variable) for variable in inner)
        path = self._leases.get(id(type(value)))
        if path is None:
            return False
        pool = static_path(value, path)
        if pool is not MISSING and pool is not None:
            self._captured.has.add((ref, self._note(pool)))
        return True

    def _note(self, pool: Any) -> int:
        if id(pool) not in self._captured.pools:
            counts: dict[str, Any] = {}
            for base in bases_of(type(pool)):
                for name, path in COUNTS.get(name_of(base), ()):
                    value = _count(pool, path)
                    if value is not None:
                        counts.setdefault(name, value)
            self._captured.pools[id(pool)] = (type_name(pool), counts)
        return id(pool)

    # ------------------------------------------------------------------ after the cut

    def build(self, captured: Captured, graph: Graph, seen: Seen) -> None:
        waiters: dict[int, int] = {}
        for _, pool in captured.waits:
            waiters[pool] = waiters.get(pool, 0) + 1
        for pool, (kind, counts) in captured.pools.items():
            label = told_apart(kind, graph.id("pool", pool))
            graph.node(
                "pool", pool, label, type=kind, wait="any", waiters=waiters.get(pool, 0), **counts
            )
        for ref, pool in captured.waits:
            graph.edge(graph.ref(ref), graph.id("pool", pool), "needs", op="acquire")
        for ref, pool in captured.has - captured.waits:
            node, holder = graph.id("pool", pool), graph.ref(ref)
            if pool in waiters:
                graph.edge(node, holder, "needs", relation="held_by", inferred="its stack")
            else:
                graph.edge(holder, node, "touches", relation="holds", inferred="its stack")


def _variables(view: View) -> Iterable[Any]:
    """The values of a frame's variables, and the managers that it has entered."""
    for name in view.analysis.slots:
        value = view.variable_or_none(name)
        if value is not None:
            yield value
    if view.holds_something():
        for held in view.held():
            yield held.value


def _variables_of(generator: Any) -> list[Any]:
    """The variables of a suspended generator, plain or async."""
    code = getattr(generator, "ag_code", None) or getattr(generator, "gi_code", None)
    return slots(generator, code) if type(code) is CodeType else []


def _count(pool: Any, path: str) -> int | None:
    is_length = path.startswith("len(")
    value = static_path(pool, path[4:-1] if is_length else path)
    if is_length:
        if issubclass(type(value), list | set | dict | tuple) or class_name(value) == "deque":
            return len(value)
        return None
    return value if type(value) is int else None
