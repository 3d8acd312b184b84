"""Peers of the snapshot protocol for tests, written from seed 002 alone: blocking sockets,
good and bad behaviour to order.
"""

import contextlib
import json
import os
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

import httpx

from .waiting import wait_until

Graph = dict[str, Any]


def frame(message: Any) -> bytes:
    """A frame that holds `message` as JSON (bytes are taken as they are)."""
    payload = message if isinstance(message, bytes) else json.dumps(message).encode()
    return struct.pack(">I", len(payload)) + payload


def graph(process: str, nodes: int = 1, edges: int = 0, kind: str = "task") -> Graph:
    """A well-formed graph; the first edges go round in a circle of the nodes."""
    ids = [f"{kind}:{process}/{i}" for i in range(nodes)]
    return {
        "process_name": process,
        "proc_key": process,
        "nodes": [
            {"id": id, "kind": kind, "label": f"{process} {i}", "attrs_json": '{"state":"waiting"}'}
            for i, id in enumerate(ids)
        ],
        "edges": [
            {
                "src": ids[i % nodes],
                "dst": ids[(i * 7 + 1 + i // nodes) % nodes],
                "kind": "needs",
                "attrs_json": "{}",
            }
            for i in range(edges)
        ],
    }


class Peer:
    """One connection. Methods say what it does, nothing happens by itself."""

    def __init__(self, address: tuple[str, int], process: str = "peer", pid: int | None = None):
        self.process, self.pid = process, os.getpid() if pid is None else pid
        self.socket = socket.create_connection(address, timeout=60)
        self._buffer = b""

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up, also while a thread of serve() is reading."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def hello(self, **extra: Any) -> None:
        """Introduce itself."""
        self.send({"type": "hello", "process": self.process, "pid": self.pid, **extra})

    def send(self, message: Any) -> None:
        """One frame."""
        self.socket.sendall(frame(message))

    def read_frame(self) -> dict[str, Any] | None:
        """The next message of the daemon; None when it hung up."""
        header = self._read(4)
        if header is None:
            return None
        body = self._read(struct.unpack(">I", header)[0])
        return None if body is None else json.loads(body)

    def _read(self, count: int) -> bytes | None:
        while len(self._buffer) < count:
            try:
                data = self.socket.recv(65536)
            except ConnectionError:
                return None
            if not data:
                return None
            self._buffer += data
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data

    def is_cut(self) -> bool:
        """Wait for whatever comes; True if it is the end."""
        try:
            return self.socket.recv(65536) == b""
        except ConnectionError:
            return True

    def reply(self, snapshot_id: int, graph: Graph | None, **extra: Any) -> None:
        """Answer a request."""
        self.send(self.reply_message(snapshot_id, graph, **extra))

    def reply_message(self, snapshot_id: int, graph: Graph | None, **extra: Any) -> dict[str, Any]:
        """The message of an answer."""
        return {
            "type": "graph_reply",
            "snapshot_id": snapshot_id,
            "process": self.process,
            "pid": self.pid,
            "graph": graph,
            **extra,
        }

    def serve(self, answer: Callable[[int], Any] | None = None) -> "Peer":
        """Answer every request from a thread until the connection ends. `answer(snapshot_id)`
        returns a graph, a ready message (dict with "type"), raw bytes to send, or None for
        silence."""

        def run() -> None:
            try:
                while (request := self.read_frame()) is not None:
                    sid = request["snapshot_id"]
                    what = graph(self.process) if answer is None else answer(sid)
                    if isinstance(what, bytes):
                        self.socket.sendall(what)
                    elif isinstance(what, dict) and "type" in what:
                        self.send(what)
                    elif what is not None:
                        self.reply(sid, what)
            except OSError:
                pass

        threading.Thread(target=run, daemon=True).start()
        return self


def wait_for_connections(url: str, count: int) -> None:
    """Until the daemon knows that many connections."""
    wait_until(
        lambda: httpx.get(f"{url}/api/connections", timeout=60).json()["count"] == count,
        f"{count} connections",
    )
