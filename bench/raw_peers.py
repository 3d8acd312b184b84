"""Lean raw clients for the snapshot bench: P processes of the seed protocol in one real process,
their graphs encoded beforehand, so that answering costs one send.

    python bench/raw_peers.py HOST PORT PROCESSES NODES EDGES
"""

import json
import re
import selectors
import socket
import struct
import sys

ATTRS = json.dumps(
    {
        "name": "handle_request",
        "state": "waiting",
        "stack": ["serve (app.py:31)", "handle (app.py:52)", "acquire (locks.py:114)"],
        "ctx.location": "/srv/app/app.py:52",
        "ctx.function": "handle",
    }
)


def node_rows(peer: int, nodes: int) -> list[tuple[str, str, str, str]]:
    """(id, kind, label, attrs_json)"""
    return [(f"task:svc{peer}/{i:06x}", "task", f"handle {i}", ATTRS) for i in range(nodes)]


def edge_rows(peer: int, nodes: int, edges: int) -> list[tuple[str, str, str, str]]:
    """(src, dst, kind, attrs_json), all different"""
    return [
        (
            f"task:svc{peer}/{i % nodes:06x}",
            f"task:svc{peer}/{(i * 7 + 1 + i // nodes) % nodes:06x}",
            "needs",
            "{}",
        )
        for i in range(edges)
    ]


def encoded_graph(peer: int, nodes: int, edges: int) -> bytes:
    """The graph's JSON."""
    keys = ("id", "kind", "label", "attrs_json")
    graph = {
        "nodes": [dict(zip(keys, row, strict=True)) for row in node_rows(peer, nodes)],
        "edges": [
            {"src": s, "dst": d, "kind": k, "attrs_json": a}
            for s, d, k, a in edge_rows(peer, nodes, edges)
        ],
    }
    return json.dumps(graph, separators=(",", ":")).encode()


class Peer:
    """One connection that answers every request."""

    def __init__(self, address: tuple[str, int], number: int, graph: bytes) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setblocking(False)
        self._number, self._graph = number, graph
        self._received = b""
        self.pending: memoryview = memoryview(b"")

    def read(self) -> bool:
        """Take what came; False at the end of the connection."""
        data = self.socket.recv(65536)
        self._received += data
        while len(self._received) >= 4:
            (length,) = struct.unpack(">I", self._received[:4])
            if len(self._received) < 4 + length:
                break
            request, self._received = self._received[4 : 4 + length], self._received[4 + length :]
            found = re.search(rb'"snapshot_id":\s*(\d+)', request)
            assert found is not None
            head = b'{"type":"graph_reply","snapshot_id":%b,"process":"svc%d","pid":%d,"graph":' % (
                found[1],
                self._number,
                self._number + 1,
            )
            size = len(head) + len(self._graph) + 1
            frame = struct.pack(">I", size) + head + self._graph + b"}"
            self.pending = memoryview(bytes(self.pending) + frame)
        return bool(data)

    def write(self) -> None:
        """Send what the kernel takes."""
        self.pending = self.pending[self.socket.send(self.pending[: 1 << 20]) :]


def main() -> None:
    host, port, processes, nodes, edges = sys.argv[1], *map(int, sys.argv[2:6])
    selector = selectors.DefaultSelector()
    for n in range(processes):
        peer = Peer((host, port), n, encoded_graph(n, nodes, edges))
        selector.register(peer.socket, selectors.EVENT_READ, peer)
    print("connected", flush=True)
    while True:
        for key, events in selector.select():
            peer = key.data
            if events & selectors.EVENT_READ and not peer.read():
                return
            if events & selectors.EVENT_WRITE:
                peer.write()
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if peer.pending else 0)
            if wanted != key.events:
                selector.modify(peer.socket, wanted, peer)


if __name__ == "__main__":
    main()
