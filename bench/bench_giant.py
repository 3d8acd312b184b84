"""What the daemon's memory grows by for a reply that is one giant label, or one giant attribute.

    python bench/bench_giant.py [MEGABYTES]

The peak is above what the daemon held before, and as a multiple of the reply's bytes. The first
snapshot and later ones differ: memory that is free by then is not given back at once.
"""

import json
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from contextlib import closing
from pathlib import Path

import httpx

HERE = Path(__file__).parent
ROUNDS = 3


def answer(address: tuple[str, int], node: bytes) -> None:
    """Be a process that answers every request with this node, until the daemon hangs up."""
    with closing(socket.create_connection(address)) as connection:
        while head := connection.recv(4, socket.MSG_WAITALL):
            (length,) = struct.unpack(">I", head)
            found = re.search(rb'"snapshot_id":\s*(\d+)', connection.recv(length))
            assert found is not None
            begin = b'{"type":"graph_reply","snapshot_id":%b,"process":"giant","pid":1,' % found[1]
            pieces = [begin, b'"graph":{"edges":[],"nodes":[', node, b"]}}"]
            connection.sendall(struct.pack(">I", sum(map(len, pieces))))
            for piece in pieces:
                connection.sendall(piece)


def bench(name: str, node: dict[str, object]) -> None:
    """Print the peaks of ROUNDS snapshots."""
    encoded = json.dumps(node).encode()
    with (
        tempfile.TemporaryDirectory() as directory,
        subprocess.Popen(
            [sys.executable, str(HERE / "ticking_daemon.py"), directory],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as daemon,
    ):
        assert daemon.stdin is not None
        assert daemon.stdout is not None
        ready = json.loads(daemon.stdout.readline())
        address = "127.0.0.1", ready["listen"]
        threading.Thread(target=answer, args=(address, encoded), daemon=True).start()
        with httpx.Client(base_url=ready["http"], timeout=600) as http:
            while not http.get("/api/connections").json()["count"]:
                pass
            peaks = []
            for _ in range(ROUNDS):
                daemon.stdin.write(b"\n")
                daemon.stdin.flush()
                daemon.stdout.readline()  # from here on
                assert http.post("/api/jump-now", json={"timeout_ms": 60_000}).json()["responded"]
                daemon.stdin.write(b"\n")
                daemon.stdin.flush()
                measured = json.loads(daemon.stdout.readline())
                peaks.append(measured["peak_bytes"] - measured["resting_bytes"])
        daemon.kill()
    told = ", ".join(f"{p / 1e6:.0f} MB ({p / len(encoded):.1f}x)" for p in peaks)
    print(f"{name} of {len(encoded) / 1e6:.0f} MB: {told}")


def main() -> None:
    text = "x" * (int((sys.argv[1:] or ["50"])[0]) * 1_000_000)
    bench("one label", {"id": "task:giant/1", "kind": "task", "label": text})
    bench("one attribute", {"id": "task:giant/1", "kind": "task", "attrs": {"text": text}})


if __name__ == "__main__":
    main()
