"""The daemon's side of the snapshot protocol in plain sockets, written from the protocol alone:
u32 big-endian length, JSON object. For tests of agents; knows nothing of peepsd."""

import json
import select
import socket
import struct
import time
from typing import Any


class RawPeer:
    """One connection from an agent."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.hello: dict[str, Any] | None = None

    def send(self, message: dict[str, Any]) -> None:
        payload = json.dumps(message).encode()
        self.sock.sendall(struct.pack(">I", len(payload)) + payload)

    def receive(self, seconds: float = 60.0) -> dict[str, Any]:
        """The next message. Raises EOFError when the agent has gone, TimeoutError after a time."""
        self.sock.settimeout(seconds)
        (length,) = struct.unpack(">I", self._exactly(4))
        return json.loads(self._exactly(length))  # type: ignore[no-any-return]

    def ask(self, snapshot_id: int = 1, timeout_ms: int = 20_000, **more: Any) -> dict[str, Any]:
        """Ask for a snapshot; the reply."""
        self.send(
            {
                "type": "snapshot_request",
                "snapshot_id": snapshot_id,
                "timeout_ms": timeout_ms,
                **more,
            }
        )
        return self.receive()

    def close(self) -> None:
        self.sock.close()

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self.sock.recv(min(count - len(data), 1 << 20))
            if not more:
                raise EOFError(f"the agent left after {len(data)} of {count} bytes")
            data += more
        return data


class RawDaemon:
    """Listens on a free port; a context manager."""

    def __init__(self, address: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        self.listener = socket.create_server(address)
        self.peers: list[RawPeer] = []

    @property
    def address(self) -> str:
        """What PEEPS_DASHBOARD is set to."""
        host, port = self.listener.getsockname()[:2]
        return f"{host}:{port}"

    def accept(self, seconds: float = 60.0, want_hello: bool = True) -> RawPeer:
        """The next agent that connects, its hello read."""
        self.listener.settimeout(seconds)
        sock, _ = self.listener.accept()
        peer = RawPeer(sock)
        self.peers.append(peer)
        if want_hello:
            peer.hello = peer.receive(seconds)
        return peer

    def accept_many(self, count: int, seconds: float = 60.0) -> list[RawPeer]:
        """So many agents."""
        end = time.monotonic() + seconds
        return [self.accept(end - time.monotonic()) for _ in range(count)]

    def nobody_comes(self, seconds: float) -> bool:
        """Whether no agent connects for so long."""
        return not select.select([self.listener], [], [], seconds)[0]

    def close(self) -> None:
        for peer in self.peers:
            peer.close()
        self.listener.close()

    def __enter__(self) -> "RawDaemon":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
