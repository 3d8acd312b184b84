"""What the innermost frames of a waiting task say about what it waits for.

One table a library: a function by module and qualified name, the kind of wait, and which
argument is the thing waited for. Adding a library is adding rows. A rule is looked up by code
object, innermost frame outwards. Refuses to know tasks, threads and graphs.

The tables hold what was verified on CPython 3.11, 3.12 and 3.13 (stdlib loop and uvloop,
trio, anyio). A row whose function is not there (another version of the library) is left out and
listed in `Rulebook.missing`: that wait degrades to a bare future, never to a wrong answer.
"""

import sys
import types
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .statics import class_attribute


@dataclass(frozen=True, slots=True)
class Rule:
    """How to read one function of a library when it is found waiting."""

    kind: str
    """Kind of wait, also the node kind when the target's own class has no row in resources."""
    target: str | None = "self"
    """Which argument is waited for: "self" is the first one, None: there is none."""
    op: str | None = None
    """What is being done to it: "get", "put", "read"."""
    refine: bool = False
    """The frame around it may name the thing better; keep looking outwards."""
    skip: bool = False
    """Plumbing: says nothing, look at the frame around it."""


def _rules(rule: Rule, *names: str) -> list[tuple[str, Rule]]:
    return [(name, rule) for name in names]


SKIP = Rule("", skip=True)

_SOCK = "BaseSelectorEventLoop.sock_"

TABLES: dict[str, list[tuple[str, Rule]]] = {
    "asyncio.locks": [
        ("Lock.acquire", Rule("lock")),
        ("Semaphore.acquire", Rule("semaphore")),
        ("Event.wait", Rule("notify", refine=True)),
        ("Condition.wait", Rule("condition", refine=True)),
        ("Condition.wait_for", SKIP),
        ("Barrier._wait", Rule("barrier")),
        ("Barrier._block", Rule("barrier")),
        ("_ContextManagerMixin.__aenter__", SKIP),
    ],
    "asyncio.queues": [
        ("Queue.get", Rule("queue", op="get")),
        ("Queue.put", Rule("queue", op="put")),
        ("Queue.join", Rule("queue", op="join")),
    ],
    "asyncio.tasks": [
        ("sleep", Rule("sleep", None, refine=True)),
        ("_wait", Rule("wait", "fs", refine=True)),
        ("wait_for", Rule("wait_for", "fut")),
    ],
    "asyncio.taskgroups": _rules(Rule("joinset"), "TaskGroup.__aexit__", "TaskGroup._aexit"),
    "asyncio.streams": [
        ("StreamReader._wait_for_data", Rule("rx", op="read")),
        ("FlowControlMixin._drain_helper", Rule("tx", op="drain")),
    ],
    "asyncio.selector_events": [
        *_rules(
            Rule("net_readable", "sock", op="read"),
            _SOCK + "recv",
            _SOCK + "recv_into",
            _SOCK + "recvfrom",
            _SOCK + "recvfrom_into",
        ),
        *_rules(Rule("net_writable", "sock", op="write"), _SOCK + "sendall", _SOCK + "sendto"),
        (_SOCK + "accept", Rule("net_accept", "sock", op="accept")),
        (_SOCK + "connect", Rule("net_connect", "sock", op="connect")),
    ],
    "asyncio.base_subprocess": [
        ("BaseSubprocessTransport._wait", Rule("command", op="wait")),
        ("BaseSubprocessTransport._connect_pipes", Rule("command", op="start")),
    ],
    "asyncio.subprocess": _rules(Rule("command", op="wait"), "Process.wait"),
    "asyncio.threads": [("to_thread", Rule("executor", None, refine=True))],
    "asyncio.base_events": [
        ("Server.serve_forever", Rule("net_accept", op="serve")),
        ("Server.wait_closed", Rule("net_accept", op="wait_closed")),
    ],
    "anyio._backends._asyncio": [
        ("Lock.acquire", Rule("lock")),
        ("Semaphore.acquire", Rule("semaphore")),
        ("CapacityLimiter.acquire_on_behalf_of", Rule("semaphore")),
        ("CapacityLimiter.acquire", SKIP),
        ("CapacityLimiter.__aenter__", SKIP),
        ("Event.wait", Rule("notify", refine=True)),
        ("TaskGroup.__aexit__", Rule("joinset")),
        ("SocketStream.receive", Rule("net_readable", op="read")),
        ("SocketStream.send", Rule("net_writable", op="write")),
        ("AsyncIOBackend.wait_readable", Rule("net_readable", "obj", op="read")),
        ("AsyncIOBackend.wait_writable", Rule("net_writable", "obj", op="write")),
        ("AsyncIOBackend.run_sync_in_worker_thread", Rule("executor", None, op="anyio")),
        ("AsyncIOBackend.sleep", SKIP),
    ],
    "anyio._core._synchronization": [
        ("Condition.wait", Rule("condition")),
        ("Lock.__aenter__", SKIP),
        ("Semaphore.__aenter__", SKIP),
    ],
    "anyio.streams.memory": [
        ("MemoryObjectReceiveStream.receive", Rule("rx", op="get")),
        ("MemoryObjectSendStream.send", Rule("tx", op="put")),
    ],
    "trio._core._traps": _rules(
        SKIP, "wait_task_rescheduled", "_async_yield", "cancel_shielded_checkpoint"
    ),
    "trio._core._parking_lot": [("ParkingLot.park", Rule("notify", refine=True))],
    "trio._core._run": [
        ("Nursery._nested_child_finished", Rule("joinset")),
        ("checkpoint", SKIP),
        ("checkpoint_if_cancelled", SKIP),
    ],
    "trio._core._io_epoll": [
        ("EpollIOManager._epoll_wait", Rule("net_readable", "fd", op="io", refine=True)),
        ("EpollIOManager.wait_readable", SKIP),
        ("EpollIOManager.wait_writable", SKIP),
    ],
    "trio._core._generated_io_epoll": _rules(SKIP, "wait_readable", "wait_writable"),
    "trio._sync": [
        ("Event.wait", Rule("notify", refine=True)),
        ("_LockImpl.acquire", Rule("lock")),
        ("Semaphore.acquire", Rule("semaphore")),
        ("CapacityLimiter.acquire_on_behalf_of", Rule("semaphore")),
        ("CapacityLimiter.acquire", SKIP),
        ("Condition.wait", Rule("condition")),
        ("AsyncContextManagerMixin.__aenter__", SKIP),
    ],
    "trio._channel": [
        ("MemorySendChannel.send", Rule("tx", op="put")),
        ("MemoryReceiveChannel.receive", Rule("rx", op="get")),
    ],
    "trio._timeouts": [
        ("sleep_until", Rule("sleep", "deadline")),
        ("sleep_forever", Rule("sleep", None, op="forever", refine=True)),
        ("sleep", SKIP),
    ],
    "trio._threads": [("to_thread_run_sync", Rule("executor", None, refine=True))],
    "trio._subprocess": [("Process.wait", Rule("command", op="wait"))],
    "trio._subprocess_platform.waitid": [("wait_child_exiting", SKIP)],
    "trio._socket": [
        ("_SocketType._nonblocking_helper", Rule("net_readable", op="io", refine=True))
    ],
    "trio._highlevel_socket": [
        ("SocketStream.receive_some", Rule("net_readable", op="read")),
        ("SocketStream.send_all", Rule("net_writable", op="write")),
    ],
}


class Rulebook:
    """Rules by code object, for the libraries that the host has loaded so far."""

    def __init__(self, tables: dict[str, list[tuple[str, Rule]]] | None = None) -> None:
        self._waiting = dict(TABLES if tables is None else tables)
        # By id: hashing a code object reads all of it. The code objects are kept alive here,
        # so that no id is used twice; they belong to libraries, not to the program.
        self._by_code: dict[int, Rule] = {}
        self._codes: list[types.CodeType] = []
        self.missing: list[str] = []

    def load(self) -> bool:
        """Bind the tables of modules that were imported since; True if there were any."""
        ready = [name for name in self._waiting if _is_loaded(name)]
        for name in ready:
            module = sys.modules[name]
            for qualname, rule in self._waiting.pop(name):
                code = find_code(module, qualname)
                if code is None:
                    self.missing.append(f"{name}.{qualname}")
                elif id(code) not in self._by_code:
                    self._by_code[id(code)] = rule
                    self._codes.append(code)
        return bool(ready)

    def get(self, code_id: int) -> Rule | None:
        """The rule of the code object with that id."""
        return self._by_code.get(code_id)

    def match(self, code_ids: Sequence[int]) -> tuple[Rule, int] | None:
        """The rule that names what a chain (outermost first) waits for, and its position.

        The innermost rule counts, unless it asks to be refined by one right around it.
        """
        best: tuple[Rule, int] | None = None
        for position in range(len(code_ids) - 1, -1, -1):
            rule = self._by_code.get(code_ids[position])
            if rule is None:
                break
            if rule.skip:
                continue
            if best is not None and rule.kind == "wait_for":
                break
            best = (rule, position)
            if not rule.refine:
                break
        return best


def _is_loaded(name: str) -> bool:
    module = sys.modules.get(name)
    if module is None:
        return False
    spec = getattr(module, "__spec__", None)
    return not getattr(spec, "_initializing", False)


def find_code(module: Any, qualname: str) -> types.CodeType | None:
    """The code of `module.qualname`, through classes, decorators and bound builtins."""
    found: Any = module
    for part in qualname.split("."):
        if isinstance(found, type):
            found = class_attribute(found, part)
        else:
            found = getattr(found, part, None)
        if found is None:
            return None
    for _ in range(8):
        if type(found) in (classmethod, staticmethod):
            found = found.__func__
        elif hasattr(found, "__wrapped__"):
            found = found.__wrapped__
        else:
            break
    code = getattr(found, "__code__", None)
    return code if isinstance(code, types.CodeType) else None
