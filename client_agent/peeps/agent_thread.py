"""The agent's thread. Connect, greet, wait, answer, try again.

Decides nothing about graphs (snapshot.py), bytes (daemon_session.py, serialise.py) and sockets
(link.py). What it promises its host: no exception and no print ever leave it, it waits in one
system call while nobody asks (and looks every 30 s whether its descriptors are still its own, and
what the host has loaded), and it ends silently with the interpreter. It is a bare thread of
`_thread`, so that `threading.enumerate()` and `active_count()` are what they were without it.
"""

import contextlib
import os
import random
from dataclasses import replace

from . import pause, turns, unpatched
from .collectors import Collectors
from .config import Config
from .daemon_session import DaemonSession
from .identity import Identity, make_identity
from .link import Link, connect
from .reconnect import Backoff
from .registry import Registry
from .serialise import null_reply, reply_chunks
from .snapshot import Snapshot, describe_error
from .turns import ShortTurns
from .waker import Waker
from .wire.errors import WireError
from .wire.messages import SnapshotRequest

CONNECT_TIMEOUT_S = 5.0
SEND_TIMEOUT_S = 30.0
_MARGIN = 0.9
"""Share of the asked time after which the rest is cut off: sending takes time too."""
_LONGEST_WAIT_FOR_INSTANT_S = 5.0
_POLLS_IN_S = 0.005
_SETTLED_S = 0.5
"""After so long a connection without a question, what snapshots need is loaded."""
_LOOK_AT_DESCRIPTORS_S = 30.0
"""How long it takes to notice that the host has closed the agent's descriptors."""
_HASTY_S = 6.0
"""A daemon that hangs up within this time has not liked the greeting; see docs/protocol.md."""
_CLOSED = "the daemon closed the connection"
_CLOSED_AT_ONCE = " at once: is PEEPS_TOKEN the same here and there?"

OFF, CONNECTING, CONNECTED = "off", "connecting", "connected"


class Agent:
    """One agent for one process. All methods may be called from any thread."""

    def __init__(self, config: Config, registry: Registry, version: str) -> None:
        self.config = config
        self.identity: Identity = make_identity(config.process_name)
        self.state = OFF
        self.last_error: str | None = None
        self.snapshots_sent = 0
        self.ident: int | None = None
        """Of the agent's thread."""
        self.native_id: int | None = None
        self._registry = registry
        self._version = version
        self._collectors = Collectors()
        self._backoff = Backoff()
        self._link: Link | None = None
        self._session: DaemonSession | None = None
        self._pending: list[SnapshotRequest] = []
        self._leave = False
        self._has_new_name = False
        self._waker = Waker()
        self._ended = unpatched.allocate_lock()
        self._turns = ShortTurns()

    @property
    def is_running(self) -> bool:
        """Whether the thread runs."""
        return bool(self._ended.locked())

    def start(self) -> None:
        """Start the thread, unless it runs; one that was asked to end and has not, goes on."""
        self._leave = False
        if self._ended.acquire(False):
            try:
                if self.config.short_turns:  # here: the thread might never get to do it
                    self._turns.begin()
                self.ident = unpatched.start_new_thread(self._run, ())
            except BaseException:  # the host may start no more threads: then there is none
                self._turns.end()
                self._ended.release()
                raise

    def stop(self, seconds: float = 2.0) -> bool:
        """End the thread and the connection; whether the thread ended within so many seconds."""
        ended = self.pause(seconds)
        if ended:
            self._disconnect()
            self.state = OFF
        return ended

    def rename(self, name: str) -> None:
        """Give the process another name. The daemon goes by the greeting, so there is a new one."""
        if name == self.config.process_name:
            return
        self.config = replace(self.config, process_name=name)
        origin = self.identity.origin  # ids stay what they are
        self.identity = replace(make_identity(name), origin=origin)
        self._has_new_name = True
        self._waker.wake()

    def pause(self, seconds: float = 2.0) -> bool:
        """End the thread but keep the connection; `start` goes on with it."""
        self._leave = True
        self._waker.wake()
        if not self._ended.acquire(True, seconds):
            return False
        try:
            self._turns.end()
        finally:
            self._ended.release()
        return True

    def become_child(self) -> None:
        """In a forked child: the parent's connection is not ours, nor is its thread."""
        if self._link is not None:
            self._link.close()
        self._link = self._session = None
        self._pending = []
        self._waker.close()
        self._waker = Waker()
        self._ended = unpatched.allocate_lock()
        self._backoff = Backoff()
        self.identity = make_identity(self.config.process_name)
        self.state = OFF
        self.snapshots_sent = 0
        self.ident = self.native_id = None

    # the thread

    def _run(self) -> None:
        try:
            self.native_id = unpatched.get_native_id()
            while not self._leave:
                self._serve_once()
        except BaseException as exc:  # the interpreter is going down, or we have a bug: be silent
            with contextlib.suppress(BaseException):
                self.last_error = describe_error(exc)
        finally:
            with contextlib.suppress(BaseException):
                self._ended.release()

    def _serve_once(self) -> None:
        """Connect, serve until the connection ends, then wait a little."""
        if self._link is None and not self._connect():
            self._wait_to_try_again()
            return
        began = unpatched.monotonic()
        try:
            self._serve()
        except (OSError, WireError) as exc:
            self.last_error = f"connection lost: {in_words(exc)}"
        except Exception as exc:  # out of memory, or a bug: the daemon shall not wait for us
            self.last_error = f"connection given up: {describe_error(exc)}"
        if self._leave:
            return
        self._disconnect()
        if self._has_new_name:
            return  # not lost: say hello anew, at once
        self._backoff.connected_for(unpatched.monotonic() - began)
        self._wait_to_try_again()

    def _wait_to_try_again(self) -> None:
        if self._leave:
            return
        seconds = self._backoff.delay(random.random())
        try:
            self._waker.wait(seconds)
        except OSError:  # no descriptor left even for that
            unpatched.sleep(seconds)

    def _connect(self) -> bool:
        self.state = CONNECTING
        self._has_new_name = False
        try:
            self._link = connect(self.config.dashboard, CONNECT_TIMEOUT_S, self._waker)
            self._session = DaemonSession(
                self.identity, _host_name(), self._version, self.config.token
            )
            self._send([self._session.greeting()])
        except (OSError, UnicodeError) as exc:
            self.last_error = f"cannot connect: {in_words(exc)}"
            self._disconnect()
            return False
        self.state = CONNECTED
        self.last_error = None
        return True

    def _serve(self) -> None:
        session, link = self._session, self._link
        assert session is not None
        assert link is not None
        patience = _SETTLED_S
        hasty_until = unpatched.monotonic() + _HASTY_S
        with ShortTurns() as short:  # at all times but while it waits
            while not self._leave:
                while self._pending:
                    self._answer(self._pending[0])
                    if self._leave:
                        return
                    self._pending.pop(0)
                if self._has_new_name:
                    return
                if not self._waker.wait(patience, link.fileno(), turns=short):
                    self._warm_up()
                    patience = _LOOK_AT_DESCRIPTORS_S
                    continue
                data = link.receive(65536)
                if not data:
                    at_once = not session.requests_seen and unpatched.monotonic() < hasty_until
                    self.last_error = _CLOSED + (_CLOSED_AT_ONCE if at_once else "")
                    return
                self._pending += session.receive(data)

    def _warm_up(self) -> None:
        """While nobody asks: have everything loaded that the next snapshot will need."""
        pause.repair()
        turns.repair()
        if not self._leave:
            with contextlib.suppress(Exception):
                self._collectors.warm_up()

    def _answer(self, request: SnapshotRequest) -> None:
        deadline = unpatched.monotonic() + request.timeout_ms / 1000 * _MARGIN
        self._wait_for_instant(request.capture_at_ns, deadline)
        snapshot = Snapshot(
            self.identity,
            self._collectors,
            own_threads=frozenset({unpatched.get_ident()}),
            names=self._registry.names(),
            deadline=deadline,
            is_cancelled=lambda: self._leave,
        )
        try:
            graph = snapshot.take()
            self._registry.build(graph)
            chunks = reply_chunks(
                graph,
                self.identity,
                request.snapshot_id,
                max_bytes=self.config.max_frame_bytes,
                captured_at_ns=snapshot.captured_at_ns,
                capture_ns=snapshot.capture_ns,
                error=snapshot.problem_text(),
            )
        except Exception as exc:
            error = f"the snapshot failed: {describe_error(exc)}"
            chunks = [null_reply(self.identity, request.snapshot_id, error)]
        if self._leave:
            return  # paused half-way: answered afresh when the thread is back
        size = sum(map(len, chunks))
        self._send([size.to_bytes(4, "big"), *chunks])
        self.snapshots_sent += 1

    def _wait_for_instant(self, at_ns: int | None, deadline: float) -> None:
        """All processes take their cut at one instant; one that is over, or far off, is not
        waited for."""
        if at_ns is None:
            return
        seconds = (at_ns - unpatched.time_ns()) / 1e9
        left = min(deadline - unpatched.monotonic(), _LONGEST_WAIT_FOR_INSTANT_S)
        if not 0 < seconds < left:
            return
        if seconds > _POLLS_IN_S:  # a poll can be woken, but is not as exact
            self._waker.wait(seconds - _POLLS_IN_S)
        seconds = (at_ns - unpatched.time_ns()) / 1e9
        if seconds > 0 and not self._leave:
            unpatched.sleep(seconds)

    def _send(self, chunks: list[bytes]) -> None:
        assert self._link is not None
        self._link.send(chunks, SEND_TIMEOUT_S)

    def _disconnect(self) -> None:
        if self._link is not None:
            self._link.close()
        self._link = self._session = None
        self._pending = []
        if self.state == CONNECTED:
            self.state = CONNECTING


def in_words(exc: Exception) -> str:
    """The sentence of an error of the connection: the system's, or the protocol's."""
    return (getattr(exc, "strerror", None) or str(exc) or repr(exc))[:200]


def _host_name() -> str:
    try:
        return str(os.uname().nodename)
    except (AttributeError, OSError):
        return ""
