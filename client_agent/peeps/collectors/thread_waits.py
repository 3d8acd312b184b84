"""What a blocked thread waits for: from its innermost frames to plain references.

Decides which function of the standard library names the wait best (a `Queue.get` is a wait for
the queue, not for the lock inside of its condition), and which C calls are waits at all. Refuses
to know who could end the wait. Runs inside the cut; reads plain attributes only.
"""

import threading
from typing import Any, NamedTuple

from ..cut import Cut
from ..graph import Ref
from ..resources import rlock_owner
from ..rules import Rule, Rulebook
from ..statics import name_of, static_get
from .frame_values import BY_NAME, View, reads_stacks
from .operands import Operation
from .time_limits import limit_of_socket

_SKIP = Rule("", skip=True)
_WAIT_CHILD = Rule("command", op="wait")
_TALK_TO_CHILD = Rule("command", op="communicate")
_TLS = Rule("socket", op="io")

TABLES: dict[str, list[tuple[str, Rule]]] = {
    "threading": [
        ("Condition.wait", Rule("condition", refine=True)),
        ("Condition.wait_for", _SKIP),
        ("Event.wait", Rule("notify", refine=True)),
        ("Semaphore.acquire", Rule("semaphore")),
        ("Barrier._wait", Rule("barrier")),
        ("Barrier._enter", Rule("barrier")),
        ("Thread._wait_for_tstate_lock", _SKIP),
        ("Thread.join", Rule("thread", op="join")),
        ("Thread.start", Rule("thread", op="start")),
        ("_shutdown", Rule("exit", None, op="exit")),
    ],
    "asyncio.base_events": [("BaseEventLoop._run_once", Rule("event_loop", None))],
    "trio._core._io_epoll": [("EpollIOManager.get_events", Rule("event_loop", None))],
    "queue": [
        ("Queue.get", Rule("queue", op="get")),
        ("Queue.put", Rule("queue", op="put")),
        ("Queue.join", Rule("queue", op="join")),
    ],
    "concurrent.futures._base": [
        ("Future.result", Rule("future", op="result")),
        ("Future.exception", Rule("future", op="result")),
        ("wait", Rule("futures", "fs", op="wait")),
        ("as_completed", Rule("futures", "pending", op="wait")),
    ],
    "concurrent.futures.thread": [("_worker", Rule("idle", None))],
    "subprocess": [
        ("Popen._try_wait", _SKIP),
        ("Popen._wait", _SKIP),
        ("Popen.wait", _WAIT_CHILD),
        ("Popen._communicate", _SKIP),
        ("Popen.communicate", _TALK_TO_CHILD),
    ],
    "multiprocessing.popen_fork": [("Popen.poll", _SKIP), ("Popen.wait", _SKIP)],
    "multiprocessing.popen_forkserver": [("Popen.poll", _SKIP), ("Popen.wait", _SKIP)],
    "multiprocessing.process": [("BaseProcess.join", _WAIT_CHILD)],
    "multiprocessing.synchronize": [
        ("Condition.wait", Rule("condition", refine=True)),
        ("Condition.wait_for", _SKIP),
        ("Event.wait", Rule("notify")),
        ("SemLock.__enter__", Rule("lock", op="acquire")),
    ],
    "multiprocessing.connection": [
        ("Connection._recv", Rule("rx", op="recv", refine=True)),
        ("Connection._recv_bytes", _SKIP),
        ("_ConnectionBase.recv_bytes", Rule("rx", op="recv", refine=True)),
        ("_ConnectionBase.recv", Rule("rx", op="recv")),
        ("Connection._send", Rule("rx", op="send", refine=True)),
        ("Connection._poll", Rule("rx", op="poll", refine=True)),
        ("_ConnectionBase.poll", Rule("rx", op="poll", refine=True)),
    ],
    "multiprocessing.queues": [
        ("Queue.get", Rule("queue", op="get")),
        ("Queue.put", Rule("queue", op="put")),
        ("SimpleQueue.get", Rule("queue", op="get")),
        ("SimpleQueue.put", Rule("queue", op="put")),
        ("JoinableQueue.join", Rule("queue", op="join")),
    ],
    "multiprocessing.pool": [("ApplyResult.wait", Rule("future", op="result"))],
    "selectors": [
        ("SelectSelector._select", _SKIP),
        ("SelectSelector.select", Rule("select", refine=True)),
        ("_PollLikeSelector.select", Rule("select", refine=True)),
        ("EpollSelector.select", Rule("select", refine=True)),
    ],
    "ssl": [
        ("SSLSocket.read", _TLS),
        ("SSLSocket.send", _TLS),
        ("SSLSocket.do_handshake", _TLS),
    ],
}

_LOCK_CALLS = frozenset(("with", "acquire", "acquire_lock", "__enter__", "_acquire_restore"))
_SOCKET_CALLS = {
    "recv": "read",
    "recv_into": "read",
    "recvfrom": "read",
    "recvfrom_into": "read",
    "recvmsg": "read",
    "recvmsg_into": "read",
    "send": "write",
    "sendall": "write",
    "sendto": "write",
    "sendmsg": "write",
    "connect": "connect",
    "connect_ex": "connect",
    "_accept": "accept",
}
_CHILD_CALLS = frozenset(("waitpid", "wait", "wait3", "wait4", "waitid"))
_FILE_CALLS = frozenset(
    [
        "read",
        "readline",
        "readinto",
        "readall",
        "read1",
        "peek",
        "write",
        "flush",
        "open",
        "fsync",
        "flock",
        "lockf",
        "input",
    ]
)
_NAME_CALLS = frozenset(("getaddrinfo", "gethostbyname", "gethostbyaddr", "getnameinfo"))
_SELECT_CALLS = frozenset(("select", "poll"))


class ThreadWait(NamedTuple):
    """What a thread waits for, in plain values."""

    kind: str
    op: str | None = None
    needs: tuple[Ref, ...] = ()
    inferred: str | None = None
    """How that was told, where the call could not be seen to be under way."""
    contended: tuple[Ref, int | None] | None = None
    """An interpreter's lock, and the ident of its owner if the lock names one: nobody may hold
    it by the time it is looked at, so it takes a holder or patience to believe in the wait."""
    limit_s: float | None = None
    """The wait ends by itself within so many seconds; None: not that is known."""
    written: str | None = None
    """How the program wrote the thing that is waited for."""
    socket: Any = None
    """The socket object. Inside of the cut only; `sockets` takes it out."""
    target: Any = None
    """The object waited for. Inside of the cut only."""


class ThreadWaitReader:
    """Reads what threads wait for. Kept between cuts for the rules it has bound."""

    def __init__(self) -> None:
        self._book = Rulebook(TABLES)

    def load(self) -> None:
        """Before a cut: take in libraries that were imported since."""
        self._book.load()

    def read(self, views: list[View], cut: Cut) -> ThreadWait | None:
        """What the thread waits for, given its frames from the innermost one on; None if it
        runs, or is in a call that is not known to wait."""
        top = views[0]
        operation = top.operation()
        if operation is None:
            if not self._stands_in_known_wait(top):
                return None
            return self._by_rule(views, cut, BY_NAME)
        wait = None
        inferred = BY_NAME if operation.how == BY_NAME else None
        if operation.name != "_acquire_restore":
            wait = self._by_rule(views, cut, inferred)
        wait = wait or _by_operation(operation, cut, inferred)
        return None if wait is None else _limited(wait, operation.limit_s)

    def _stands_in_known_wait(self, top: View) -> bool:
        """Whether a library function that waits in one place only is at a call in that place.

        For interpreters whose value stack is not read: what the call is, its name tells.
        """
        rule = self._book.get(id(top.code))
        name = top.called_name()
        return rule is not None and not reads_stacks() and name in ("acquire", "select", "poll")

    def _by_rule(self, views: list[View], cut: Cut, inferred: str | None) -> ThreadWait | None:
        # Innermost first here, outermost first there.
        ids = [id(view.code) for view in views]
        ids.reverse()
        match = self._book.match(ids)
        if match is None:
            return None
        rule, position = match
        if rule.kind == "exit":
            return ThreadWait("thread", "exit", _outlasting(cut), inferred)
        if rule.target is None:
            return ThreadWait(rule.kind, rule.op, (), inferred)
        view = views[len(views) - 1 - position]
        target = view.argument() if rule.target == "self" else view.variable_or_none(rule.target)
        if target is None:
            return None
        return _named(rule, target, cut, inferred)


def _limited(wait: ThreadWait, limit_s: float | None) -> ThreadWait | None:
    """The wait with its time limit; None if the call does not wait at all."""
    if limit_s == 0 and wait.contended is not None:
        return None
    if wait.socket is not None:
        limit_s = limit_of_socket(wait.socket)
    return wait._replace(limit_s=limit_s)


def _named(rule: Rule, target: Any, cut: Cut, inferred: str | None) -> ThreadWait | None:
    kind, op = rule.kind, rule.op
    if kind == "thread":
        ident = static_get(target, "_ident")
        needs = (cut.thread_ref(ident),) if type(ident) is int and op == "join" else ()
        return ThreadWait(kind, op, needs, inferred)
    if kind == "futures":
        return ThreadWait("future", op, _futures(target, cut), inferred)
    if kind == "select":
        return ThreadWait("select", None, (), inferred, target=target)
    if kind == "socket":
        return ThreadWait("socket", op, (), inferred, socket=target)
    ref = cut.resource(target, kind)
    return ThreadWait(kind, op, () if ref is None else (ref,), inferred, target=target)


def _outlasting(cut: Cut) -> tuple[Ref, ...]:
    """The threads for which the interpreter waits before it ends."""
    main = threading.main_thread().ident
    return tuple(
        cut.thread_ref(ident)
        for ident, thread in cut.threads.items()
        if thread.daemon is False and ident != main
    )


def _futures(futures: Any, cut: Cut) -> tuple[Ref, ...]:
    if type(futures) not in (set, frozenset, list, tuple):
        return ()
    refs = [cut.resource(future, "future") for future in list(futures)[:1000] if not _done(future)]
    return tuple(ref for ref in refs if ref is not None)


def _done(future: Any) -> bool:
    return static_get(future, "_state") in ("FINISHED", "CANCELLED", "CANCELLED_AND_NOTIFIED")


def _by_operation(operation: Operation, cut: Cut, inferred: str | None) -> ThreadWait | None:
    name, owner = operation.name, operation.owner
    kind = type(owner)
    if name in _LOCK_CALLS:
        return _lock(operation, cut, inferred)
    if name in _SOCKET_CALLS and name_of(kind) != "FileIO":
        op = _SOCKET_CALLS[name]
        return ThreadWait(
            "net_accept" if op == "accept" else "socket",
            op,
            (),
            inferred,
            written=operation.text,
            socket=owner,
        )
    if name == "sleep":
        return ThreadWait("sleep", None, (), inferred)
    if name == "get":
        ref = cut.resource(owner, "queue")
        return ThreadWait("queue", "get", (ref,) if ref else (), inferred, written=operation.text)
    if name in _SELECT_CALLS:
        return ThreadWait("select", None, (), inferred, target=owner)
    if name in _CHILD_CALLS:
        pid = operation.first
        needs = (("command", f"pid-{pid}"),) if type(pid) is int and pid > 0 else ()
        return ThreadWait("command", "wait", needs, inferred)
    if name in _FILE_CALLS:
        return ThreadWait("file_op", name, (), inferred, target=_file(operation))
    if name in _NAME_CALLS:
        return ThreadWait("net_connect", "look up a name", (), inferred)
    if name in ("run_forever", "run_until_complete"):
        return ThreadWait("event_loop", None, (), inferred)
    return None


def _file(operation: Operation) -> Any:
    """The file object, or the number of the open file."""
    if operation.owner is not None:
        return operation.owner
    return operation.first if type(operation.first) is int else None


def _lock(operation: Operation, cut: Cut, inferred: str | None) -> ThreadWait | None:
    lock = operation.owner
    ref = cut.resource(lock, "lock")
    if ref is None or ref[0] not in ("lock", "semaphore", "condition"):
        return None  # a manager of another kind is being entered: no wait of its own
    owner, _ = rlock_owner(lock)
    return ThreadWait(
        "lock",
        "acquire",
        (ref,),
        inferred,
        contended=(ref, owner),
        written=operation.text,
    )
