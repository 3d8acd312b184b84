"""A daemon for tests of the agent: it speaks the snapshot protocol and keeps replies in memory.

Decides nothing; it has threads and blocking sockets, so that tests of any kind can use it. For
the real one see daemon.py.
"""

import contextlib
import json
import socket
import threading
from dataclasses import dataclass, field
from typing import Any

from peeps.wire.frames import FrameDecoder, encode_frame
from peeps.wire.messages import GRAPH_REPLY, HELLO, SnapshotRequest

DEADLINE_S = 60.0


@dataclass(eq=False)
class Connection:
    """One agent, as long as it stays."""

    socket: socket.socket
    hello: dict[str, Any] = field(default_factory=dict)
    replies: dict[int, dict[str, Any]] = field(default_factory=dict)
    raw: dict[int, bytes] = field(default_factory=dict)
    """Payloads of the replies, as they came."""
    is_open: bool = True

    @property
    def process(self) -> str:
        return str(self.hello.get("process"))

    @property
    def pid(self) -> int:
        return int(self.hello.get("pid", 0))


class FakeDaemon:
    """`with FakeDaemon() as daemon:` listens on a port of its own; `dashboard` names it."""

    def __init__(self, port: int = 0) -> None:
        self._changed = threading.Condition()
        self._connections: list[Connection] = []
        self._snapshot_id = 0
        self.stop_reading = False
        """Whether new connections are left unread; they are in `unread`."""
        self.unread: list[Connection] = []
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port = int(self._listener.getsockname()[1])
        self.dashboard = f"127.0.0.1:{self.port}"

    def __enter__(self) -> "FakeDaemon":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up on everybody and stop listening."""
        with contextlib.suppress(OSError):  # closed before
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self.connections():
            self.hang_up(connection)
        for connection in self.unread:
            connection.socket.close()

    def hang_up(self, connection: Connection) -> None:
        """End one connection."""
        with contextlib.suppress(OSError):
            connection.socket.shutdown(socket.SHUT_RDWR)

    def connections(self, process: str | None = None) -> list[Connection]:
        """Agents that have said hello and are still there."""
        with self._changed:
            return [c for c in self._connections if process is None or c.process == process]

    def wait_for(self, count: int = 1, deadline_s: float = DEADLINE_S) -> list[Connection]:
        """Until so many agents have said hello."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._connections) >= count, deadline_s):
                names = [c.process for c in self._connections]
                raise AssertionError(f"{len(names)} of {count} agents connected: {names}")
            return list(self._connections)

    def snapshot(self, timeout_s: float = 10.0, **extra: Any) -> list[dict[str, Any]]:
        """Ask everybody connected; the replies that came in time, each a graph_reply."""
        asked = self.connections()
        snapshot_id = self.request(asked, int(timeout_s * 1000), **extra)
        self.wait_for_replies(asked, snapshot_id, timeout_s)
        return [c.replies[snapshot_id] for c in asked if snapshot_id in c.replies]

    def request(self, asked: list[Connection], timeout_ms: int = 10_000, **extra: Any) -> int:
        """Ask and do not wait; the snapshot's number."""
        with self._changed:
            self._snapshot_id += 1
            number = self._snapshot_id
        for connection in asked:
            self.send(connection, SnapshotRequest(number, timeout_ms, **extra).to_json())
        return number

    def wait_for_replies(self, asked: list[Connection], number: int, timeout_s: float) -> None:
        """Until each of them has replied or gone, or time is up."""
        with self._changed:
            self._changed.wait_for(
                lambda: all(number in c.replies or not c.is_open for c in asked), timeout_s
            )

    def send(self, connection: Connection, payload: bytes, framed: bool = True) -> None:
        """Bytes to an agent: a frame, or as they are."""
        with contextlib.suppress(OSError):
            connection.socket.sendall(encode_frame(payload) if framed else payload)

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            if self.stop_reading:
                self.unread.append(Connection(peer))
                continue
            threading.Thread(target=self._read, args=(Connection(peer),), daemon=True).start()

    def _read(self, connection: Connection) -> None:
        decoder = FrameDecoder()
        try:
            while data := connection.socket.recv(1 << 20):
                decoder.feed(data)
                while (payload := decoder.next_frame()) is not None:
                    self._take(connection, payload)
        except OSError:
            pass
        with self._changed:
            connection.is_open = False
            if connection in self._connections:
                self._connections.remove(connection)
            self._changed.notify_all()
        connection.socket.close()

    def _take(self, connection: Connection, payload: bytes) -> None:
        message = json.loads(payload)
        with self._changed:
            if message["type"] == HELLO:
                connection.hello = message
                self._connections.append(connection)
            elif message["type"] == GRAPH_REPLY:
                connection.replies[message["snapshot_id"]] = message
                connection.raw[message["snapshot_id"]] = payload
            self._changed.notify_all()
