"""What the objects are that people wait for: kind and the counts that may be told about them.

One table: a class by module and name, its node kind, and which plain attributes become which
numbers. Adding a library is adding rows. Subclasses are found by their bases. Refuses to know
who waits and who holds, and never reads contents: sizes, counts and flags only.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Any, NamedTuple

from .statics import (
    MISSING,
    bases_of,
    class_module,
    class_name,
    module_of,
    name_of,
    static_get,
    static_path,
)

Attribute = tuple[str, str, str]
"""Name on the node, dotted path on the object, and "value", "len" or "flag"."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What instances of one class look like as nodes."""

    kind: str
    attributes: tuple[Attribute, ...] = ()
    paired: bool = False
    """One end of a channel: `_state` is common to both ends, and makes the key of both nodes."""
    wait_any: bool = False
    """Whether any single one of several holders can end a wait for it."""


def _shape(kind: str, *specs: str, wait_any: bool = False, paired: bool = False) -> Shape:
    """Specs read "name=path", "name=len(path)", "name?=path" (a flag)."""
    attributes: list[Attribute] = []
    for spec in specs:
        name, _, path = spec.partition("=")
        if path.startswith("len("):
            attributes.append((name, path[4:-1], "len"))
        elif name.endswith("?"):
            attributes.append((name[:-1], path, "flag"))
        else:
            attributes.append((name, path, "value"))
    return Shape(kind, tuple(attributes), paired, wait_any)


_SEMAPHORE = _shape("semaphore", "value=_value", "waiters=len(_waiters)", wait_any=True)
_BOUNDED_SEMAPHORE = _shape(
    "semaphore", "value=_value", "max_value=_bound_value", "waiters=len(_waiters)", wait_any=True
)
_LIMITER = _shape(
    "semaphore",
    "total=_total_tokens",
    "borrowed=len(_borrowers)",
    "waiters=len(_lot)",
    wait_any=True,
)
_TRIO_LOCK = _shape("lock", "waiters=len(_lot)")
_QUEUE = _shape(
    "queue",
    "maxsize=_maxsize",
    "size=len(_queue)",
    "getters=len(_getters)",
    "putters=len(_putters)",
    "unfinished=_unfinished_tasks",
    wait_any=True,
)
_THREAD_QUEUE = _shape(
    "queue", "maxsize=maxsize", "size=len(queue)", "unfinished=unfinished_tasks", wait_any=True
)
_CHANNEL = (
    "maxsize=_state.max_buffer_size",
    "size=len(_state.data)",
    "open_senders=_state.open_send_channels",
    "open_receivers=_state.open_receive_channels",
    "waiting_senders=len(_state.send_tasks)",
    "waiting_receivers=len(_state.receive_tasks)",
)
_ANYIO_CHANNEL = (
    "maxsize=_state.max_buffer_size",
    "size=len(_state.buffer)",
    "open_senders=_state.open_send_channels",
    "open_receivers=_state.open_receive_channels",
    "waiting_senders=len(_state.waiting_senders)",
    "waiting_receivers=len(_state.waiting_receivers)",
)

SHAPES: dict[tuple[str, str], Shape] = {
    ("asyncio.locks", "Lock"): _shape("lock", "locked?=_locked", "waiters=len(_waiters)"),
    ("asyncio.locks", "Semaphore"): _SEMAPHORE,
    ("asyncio.locks", "BoundedSemaphore"): _BOUNDED_SEMAPHORE,
    ("asyncio.locks", "Event"): _shape("notify", "set?=_value", "waiters=len(_waiters)"),
    ("asyncio.locks", "Condition"): _shape("condition", "waiters=len(_waiters)"),
    ("asyncio.locks", "Barrier"): _shape("barrier", "parties=_parties", "arrived=_count"),
    ("asyncio.queues", "Queue"): _QUEUE,
    ("asyncio.taskgroups", "TaskGroup"): _shape("joinset", "children=len(_tasks)"),
    ("asyncio.base_events", "Server"): _shape("net_accept", "connections=_active_count"),
    ("asyncio.base_subprocess", "BaseSubprocessTransport"): _shape("command", "child_pid=_pid"),
    ("asyncio.subprocess", "Process"): _shape("command", "child_pid=pid"),
    ("asyncio.streams", "StreamReader"): _shape("rx", "buffered=len(_buffer)", "eof?=_eof"),
    ("_thread", "lock"): _shape("lock"),
    ("_thread", "RLock"): _shape("lock"),
    ("threading", "Condition"): _shape("condition", "waiters=len(_waiters)"),
    ("threading", "BoundedSemaphore"): _shape(
        "semaphore", "value=_value", "max_value=_initial_value", wait_any=True
    ),
    ("threading", "Semaphore"): _shape("semaphore", "value=_value", wait_any=True),
    ("threading", "Event"): _shape("notify", "set?=_flag"),
    ("threading", "Barrier"): _shape("barrier", "parties=_parties", "arrived=_count"),
    ("queue", "Queue"): _THREAD_QUEUE,
    ("_queue", "SimpleQueue"): _shape("queue", wait_any=True),
    ("concurrent.futures._base", "Future"): _shape("future", "future_state=_state"),
    ("concurrent.futures.thread", "ThreadPoolExecutor"): _shape(
        "executor", "max_workers=_max_workers", "workers=len(_threads)", wait_any=True
    ),
    ("concurrent.futures.process", "ProcessPoolExecutor"): _shape(
        "executor", "max_workers=_max_workers", "workers=len(_processes)", wait_any=True
    ),
    ("multiprocessing.synchronize", "Lock"): _shape("lock"),
    ("multiprocessing.synchronize", "RLock"): _shape("lock"),
    ("multiprocessing.synchronize", "Semaphore"): _shape("semaphore", wait_any=True),
    ("multiprocessing.synchronize", "Condition"): _shape("condition"),
    ("multiprocessing.synchronize", "Event"): _shape("notify"),
    ("multiprocessing.process", "BaseProcess"): _shape("command", "child_pid=_popen.pid"),
    ("multiprocessing.connection", "_ConnectionBase"): _shape("rx", "fd=_handle"),
    ("multiprocessing.queues", "Queue"): _shape("queue", "maxsize=_maxsize", wait_any=True),
    ("subprocess", "Popen"): _shape("command", "child_pid=pid", "returncode=returncode"),
    ("trio", "Event"): _shape("notify", "set?=_flag", "waiters=len(_tasks)"),
    ("trio", "CapacityLimiter"): _LIMITER,
    ("trio", "Semaphore"): _shape(
        "semaphore", "value=_value", "max_value=_max_value", "waiters=len(_lot)", wait_any=True
    ),
    ("trio", "_LockImpl"): _TRIO_LOCK,
    ("trio", "Condition"): _shape("condition", "waiters=len(_lot)"),
    ("trio", "ParkingLot"): _shape("notify", "waiters=len(_parked)"),
    ("trio", "Nursery"): _shape("joinset", "children=len(_children)"),
    ("trio", "MemorySendChannel"): _shape("tx", *_CHANNEL, wait_any=True, paired=True),
    ("trio", "MemoryReceiveChannel"): _shape("rx", *_CHANNEL, wait_any=True, paired=True),
    ("trio", "Process"): _shape("command", "child_pid=_proc.pid"),
    ("anyio", "Lock"): _shape("lock", "waiters=len(_waiters)"),
    ("anyio", "Semaphore"): _SEMAPHORE,
    ("anyio", "CapacityLimiter"): _shape(
        "semaphore",
        "total=_total_tokens",
        "borrowed=len(_borrowers)",
        "waiters=len(_wait_queue)",
        wait_any=True,
    ),
    ("anyio", "TaskGroup"): _shape("joinset", "children=len(_tasks)"),
    ("anyio", "Condition"): _shape("condition", "waiters=len(_waiters)"),
    ("anyio", "MemoryObjectSendStream"): _shape("tx", *_ANYIO_CHANNEL, wait_any=True, paired=True),
    ("anyio", "MemoryObjectReceiveStream"): _shape(
        "rx", *_ANYIO_CHANNEL, wait_any=True, paired=True
    ),
}


def shape_of(obj: object) -> Shape | None:
    """The row for an object's class or the nearest of its bases; None for anything else."""
    return shape_of_class(type(obj))


def shape_of_class(cls: type) -> Shape | None:
    """As shape_of, of a class."""
    for base in bases_of(cls):
        module = module_of(base)
        # trio and anyio give the classes they export the name of the package: the package it is.
        if module.startswith(("trio.", "anyio.")):
            module = module.partition(".")[0]
        shape = SHAPES.get((module, name_of(base)))
        if shape is not None:
            return shape
    return None


_OF_PROCESSES = frozenset(("multiprocessing", "multiprocess", "billiard"))
"""The standard library's package, and those that were made from it."""


def is_shared(cls: type) -> bool:
    """Whether processes share its instances: whoever will end a wait may be in another one."""
    return any(module_of(base).partition(".")[0] in _OF_PROCESSES for base in bases_of(cls))


_ADAPTED = ("_internal_limiter", "_internal_lock", "_internal_semaphore", "_internal_event")


def is_adapter(obj: object) -> bool:
    """Whether it is anyio's stand-in for a primitive made outside of a loop."""
    return class_name(obj).endswith("Adapter")


def behind_adapter(obj: object) -> object:
    """anyio's primitives made outside of a loop adapt to one later: the one that counts."""
    if not is_adapter(obj):
        return obj
    for name in _ADAPTED:
        inner = static_get(obj, name)
        if inner is not MISSING and inner is not None:
            return inner
    return obj


Reader = Callable[[Any], dict[str, Any]]
"""Reads the numbers and flags that a row names from an object, as far as they are there."""


def attribute_reader(cls: type, shape: Shape) -> Reader:
    """The Reader of a class: made once, for it is called for each resource inside the cut."""
    # A library's own class has plain attributes; a subclass may have put properties there.
    is_own = (module_of(cls), name_of(cls)) in SHAPES
    plan: list[tuple[str, Callable[[Any], Any], str]] = [
        (name, attrgetter(path) if is_own else partial(static_path, path=path), how)
        for name, path, how in shape.attributes
    ]
    extra = _EXTRAS.get(name_of(cls))
    always = {"shared": True} if shape.kind != "command" and is_shared(cls) else {}

    def read(obj: Any) -> dict[str, Any]:
        found: dict[str, Any] = dict(always)
        for name, get, how in plan:
            try:
                value = get(obj)
            except AttributeError:  # another version of the library has no such attribute
                continue
            if how == "len":
                # None stands for an empty collection in asyncio; MISSING has no length to tell.
                value = 0 if value is None else _length(value)
            elif how == "flag":
                value = bool(value) if id(type(value)) in _WHOLE else MISSING
            elif id(type(value)) not in _TELLABLE or (type(value) is str and len(value) > 40):
                continue
            if value is not MISSING:
                found[name] = value
        if extra is not None:
            found.update(extra(obj))
        return found

    return read


class Column(NamedTuple):
    """One attribute of many instances of a class."""

    name: str
    get: Callable[[Any], Any]
    how: str


def columns_of(cls: type, shape: Shape) -> tuple[Column, ...] | None:
    """How instances of a library's own class are read many at once: by C code alone. None for
    classes that need to be read one by one."""
    library, _, _ = module_of(cls).partition(".")
    if (module_of(cls), name_of(cls)) not in SHAPES or shape.kind not in _BY_COLUMNS.get(
        library, ()
    ):
        return None
    return tuple(Column(name, attrgetter(path), how) for name, path, how in shape.attributes)


def read_column(column: Column, objects: list[Any]) -> list[Any] | None:
    """One value for each object; None if they are not what they are expected to be."""
    try:
        values = list(map(column.get, objects))
    except AttributeError:  # another version of the library has no such attribute
        return None
    types_met = set(map(id, map(type, values)))
    if column.how == "len":
        if not types_met <= _COUNTED:
            return None
        if id(type(None)) in types_met:  # stands for an empty collection in asyncio
            return [0 if value is None else len(value) for value in values]
        return list(map(len, values))
    return values if types_met <= (_FLAGS if column.how == "flag" else _NUMBERS) else None


_BY_COLUMNS = {
    "asyncio": frozenset(
        ("lock", "semaphore", "notify", "condition", "barrier", "queue", "joinset", "rx")
    ),
    "trio": frozenset(("notify",)),
}
"""Kinds of a library whose objects say nothing but numbers: a lock of trio names its owner."""
# By id: hashing or comparing a class may run its metaclass.
_COUNTED = set(map(id, (list, tuple, set, frozenset, dict, bytes, bytearray, deque, type(None))))
_FLAGS = {id(bool)}
_NUMBERS = set(map(id, (int, float, bool)))
_TELLABLE = set(map(id, (int, float, str, bool)))
_WHOLE = set(map(id, (int, bool)))


_SIZED = (list, tuple, set, frozenset, dict, bytes, bytearray)


def _length(value: object) -> Any:
    if issubclass(type(value), _SIZED):
        return len(value)  # type: ignore[arg-type]
    if class_module(value) in ("collections", "_weakrefset"):
        return len(value)  # type: ignore[arg-type]
    parked = static_get(value, "_parked")  # trio's parking lot
    return len(parked) if parked is not MISSING else MISSING


def _lock_state(obj: Any) -> dict[str, Any]:
    return {"locked": obj.locked()}


def _rlock_state(obj: Any) -> dict[str, Any]:
    """The only public place where an RLock tells its owner is its repr."""
    owner, count = rlock_owner(obj)
    return {"locked": owner is not None, "count": count}


def rlock_owner(obj: object) -> tuple[int | None, int]:
    """The ident of the thread that owns an RLock (None if free), and how often it entered."""
    text = repr(obj) if class_module(obj) == "_thread" else ""
    try:
        owner = int(text.split("owner=")[1].split()[0])
        count = int(text.split("count=")[1].split()[0])
    except (IndexError, ValueError):
        return None, 0
    return (owner, count) if owner and count else (None, 0)


_EXTRAS: dict[str, Any] = {"lock": _lock_state, "RLock": _rlock_state}


def is_lock_type(obj: object) -> bool:
    """Whether it is one of the interpreter's own locks."""
    return class_module(obj) == "_thread"
