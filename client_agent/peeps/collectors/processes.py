"""Child processes: which there are, how they are, and whether a pipe to one is stuck.

Decides, from what the kernel tells about children of this process, whether a child runs, has
exited, or is blocked on a pipe; and, from the pipes that somebody who waits for a child keeps
open, whether the wait can end: a child whose output pipe is full needs its reader. Tells a
program's name, never its arguments or environment. Linux for all but the bare nodes.
"""

import fcntl
import os
import struct
import termios
from collections.abc import Sequence
from types import CodeType
from typing import Any, NamedTuple

from .. import unpatched
from ..cut import Cut, Seen
from ..graph import Graph, Ref
from ..statics import MISSING, class_module, static_get
from .frame_values import View
from .thread_waits import ThreadWait

MAX_CHILDREN = 1000
_LOOK_S = 0.2
_F_GETPIPE_SZ = 1032
_PIPE_ATOM = 4096
"""A pipe takes no more once less than a page of it is free."""
_STATES = {
    "R": "running",
    "S": "sleeping",
    "D": "sleeping",
    "T": "stopped",
    "t": "traced",
    "Z": "exited",
    "X": "exited",
    "I": "sleeping",
}
_READING = ("pipe_read", "anon_pipe_read", "pipe_wait_readable")
_WRITING = ("pipe_write", "anon_pipe_write", "pipe_wait_writable")
Pipe = tuple[str, int]
"""Name of a child's stream (stdin, stdout, stderr) and our end's file descriptor."""


def collector() -> "Processes":
    return Processes()


class Child(NamedTuple):
    """A child process as the kernel tells of it."""

    pid: int
    program: str | None
    state: str | None
    blocked_on: str | None
    """"reading a pipe" or "writing a pipe", if it is."""


class Waiter(NamedTuple):
    """Somebody who waits for a child, and the pipes to that child that its process holds."""

    ref: Ref
    child: Ref
    pipes: tuple[Pipe, ...]
    reads: bool
    """Whether it takes the child's output while it waits."""


class Talker(NamedTuple):
    """A thread that reads or writes an open file, perhaps a pipe to a child."""

    ref: Ref
    descriptor: int
    reads: bool


class Captured(NamedTuple):
    """What the hooks noted."""

    waiters: list[Waiter]
    talkers: list[Talker]


class Processes:
    """The Collector of child processes."""

    name = "processes"

    def __init__(self) -> None:
        self._captured = Captured([], [])

    def applies(self) -> bool:
        return True

    def prepare(self, cut: Cut) -> None:
        self._captured = Captured([], [])
        cut.on_task.append(self._see_task)
        cut.on_thread.append(self._see_thread)

    def capture(self, cut: Cut) -> Captured:
        """Nothing more: tasks and threads were shown to the hooks."""
        return self._captured

    def _see_task(
        self,
        ref: Ref,
        links: Sequence[tuple[Any, CodeType]],
        target: object,
        target_ref: Ref | None,
    ) -> bool:
        if target_ref is None or target_ref[0] != "command":
            return False
        talks = any(code.co_name == "communicate" for _, code in links)
        self._captured.waiters.append(Waiter(ref, target_ref, pipes_of(target), talks))
        return True

    def _see_thread(self, ref: Ref, views: Sequence[View], wait: ThreadWait | None) -> None:
        if wait is not None and wait.kind == "command" and wait.needs:
            talks = wait.op == "communicate"
            self._captured.waiters.append(Waiter(ref, wait.needs[0], pipes_of(wait.target), talks))
        elif wait is not None and wait.kind == "file_op":
            number = wait.target if type(wait.target) is int else _descriptor(wait.target)
            if number is not None:
                self._captured.talkers.append(Talker(ref, number, wait.op != "write"))

    def build(self, captured: Captured, graph: Graph, seen: Seen) -> None:
        children = self._build_children(graph)
        for waiter in set(captured.waiters):
            child = children.get(waiter.child)
            if child is not None:
                is_alone = set(seen.threads) == {waiter.ref[1]} and waiter.ref[0] == "thread"
                _build_pipes(waiter, child, graph, is_alone)
        if captured.talkers:
            ends = {}
            for child in children.values():
                ends.update(pipe_ends_of(child.pid))
            for talker in captured.talkers:
                _build_talk(talker, ends, graph)

    def _build_children(self, graph: Graph) -> dict[Ref, Child]:
        end = unpatched.monotonic() + _LOOK_S
        children: dict[Ref, Child] = {}
        for pid in children_of_this_process():
            if unpatched.monotonic() > end:
                graph.leave_out("child_processes")
                break
            child = look_at(pid)
            children[("command", f"pid-{pid}")] = child
            graph.node(
                "command",
                f"pid-{pid}",
                child.program or f"pid {pid}",
                child_pid=pid,
                program=child.program,
                state=child.state,
                blocked_on=child.blocked_on,
            )
        return children


def _build_pipes(waiter: Waiter, child: Child, graph: Graph, is_alone: bool) -> None:
    """The pipes between a child and the process that waits for it, and which of them is stuck.

    The child needs whoever serves the pipe. Only if the waiter is the one thread of the process
    (`is_alone`) it must be that thread.
    """
    for name, descriptor in waiter.pipes:
        pipe = look_at_pipe(descriptor)
        if pipe is None:
            continue
        is_output = name != "stdin"
        stuck = (
            pipe.is_full and child.blocked_on == "writing a pipe"
            if is_output
            else pipe.is_empty and child.blocked_on == "reading a pipe"
        )
        node = graph.node(
            "rx" if is_output else "tx",
            f"pid-{child.pid}-{name}",
            f"{name} of {child.program or child.pid}",
            waiting_bytes=pipe.waiting,
            capacity=pipe.capacity,
            full=pipe.is_full,
        )
        command = graph.ref(waiter.child)
        if not stuck or waiter.reads:
            graph.edge(command, node, "touches")
            continue
        graph.edge(command, node, "needs", inferred=f"{child.blocked_on}, and this one is stuck")
        if is_alone:
            graph.edge(node, graph.ref(waiter.ref), "needs", inferred="nobody else could serve it")


def _build_talk(talker: Talker, ends: dict[str, tuple[int, str]], graph: Graph) -> None:
    """A thread that is reading from or writing to a child."""
    end = ends.get(_target(f"/proc/self/fd/{talker.descriptor}"))
    if end is None:
        return
    pid, name = end
    kind = "rx" if talker.reads else "tx"
    pipe = graph.node(kind, f"pid-{pid}-{name}", f"{name} of pid {pid}")
    graph.edge(graph.ref(talker.ref), pipe, "needs", op="read" if talker.reads else "write")
    graph.edge(pipe, graph.id("command", f"pid-{pid}"), "needs")


# ------------------------------------------------------------------ inside the cut


def pipes_of(process: object) -> tuple[Pipe, ...]:
    """The pipes that a subprocess.Popen, or asyncio's process or its transport, keeps open."""
    found = []
    transport = static_get(process, "_transport")
    pipes = static_get(process if transport is MISSING else transport, "_pipes")
    if type(pipes) is dict:
        for number, name in ((0, "stdin"), (1, "stdout"), (2, "stderr")):
            # asyncio: protocol of the pipe -> its transport -> the file
            pipe = static_get(static_get(pipes.get(number), "pipe"), "_pipe")
            found.append((name, _descriptor(pipe)))
    else:
        for name in ("stdin", "stdout", "stderr"):
            found.append((name, _descriptor(static_get(process, name))))
    return tuple((name, number) for name, number in found if number is not None)


def _descriptor(file: Any) -> int | None:
    """The number of an open file of the interpreter's own classes."""
    if class_module(file) != "_io" or file.closed:
        return None
    try:
        number = file.fileno()
    except (OSError, ValueError):
        return None
    return number if type(number) is int else None


# ------------------------------------------------------------------ what the kernel says


class PipeNow(NamedTuple):
    """How full a pipe is."""

    waiting: int
    capacity: int

    @property
    def is_full(self) -> bool:
        return self.waiting > self.capacity - _PIPE_ATOM

    @property
    def is_empty(self) -> bool:
        return self.waiting == 0


def look_at_pipe(descriptor: int) -> PipeNow | None:
    """How many bytes lie in a pipe, told by either end; None if it is no pipe."""
    try:
        capacity = fcntl.fcntl(descriptor, _F_GETPIPE_SZ)
        answer = fcntl.ioctl(descriptor, termios.FIONREAD, b"\0\0\0\0")
    except OSError:
        return None
    return PipeNow(struct.unpack("=i", answer)[0], capacity)


def children_of_this_process() -> list[int]:
    """Pids of all children, of whichever thread; those that subprocess knows where /proc is not."""
    found: list[int] = []
    try:
        for task in os.listdir("/proc/self/task"):  # noqa: PTH208
            text = _read(f"/proc/self/task/{task}/children")
            found.extend(int(word) for word in (text or "").split())
    except (OSError, ValueError):
        pass
    return found[:MAX_CHILDREN]


def pipe_ends_of(pid: int) -> dict[str, tuple[int, str]]:
    """The pipes that are a child's standard streams: (pid, stream) by "pipe:[inode]"."""
    found = {}
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        target = _target(f"/proc/{pid}/fd/{number}")
        if target.startswith("pipe:"):
            found[target] = (pid, name)
    return found


def _target(path: str) -> str:
    try:
        return os.readlink(path)  # noqa: PTH115
    except OSError:
        return ""


def look_at(pid: int) -> Child:
    """What the kernel tells about a child."""
    stat = _read(f"/proc/{pid}/stat")
    if stat is None or ")" not in stat:
        return Child(pid, None, None, None)
    program = stat[stat.index("(") + 1 : stat.rindex(")")]
    state = _STATES.get(stat[stat.rindex(")") + 2 :][:1])
    place = (_read(f"/proc/{pid}/wchan") or "").strip()
    blocked_on = None
    if place in _READING:
        blocked_on = "reading a pipe"
    elif place in _WRITING:
        blocked_on = "writing a pipe"
    return Child(pid, program, state, blocked_on)


def _read(path: str) -> str | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(descriptor, 65536).decode("utf-8", "replace")
        finally:
            os.close(descriptor)
    except OSError:
        return None
