"""What a snapshot of many processes takes, from the request to the stored answer, against the
floor: the same rows inserted by one prepared statement from ready tuples into the same schema
with the daemon's own pragmas, and nothing else going on, in the same run.

    python bench/bench_snapshot.py [PROCESSESxNODES ...]

Processes are lean raw clients in a process of their own. As many edges as nodes.
"""

import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import httpx
from raw_peers import edge_rows, encoded_graph, node_rows

from peepsd.store.database import PRAGMAS
from peepsd.store.schema import prepare_database

HERE = Path(__file__).parent
SIZES = ("10x100", "100x1000", "10x10000", "500x200")
ROUNDS = 5


def floor_s(path: Path, processes: int, nodes: int) -> float:
    """Seconds for the bare inserts."""
    prepare_database(str(path), 0)
    node_tuples = [
        (1, id, kind, f"svc{n}", f"svc{n}-{n + 1}", attrs, label)
        for n in range(processes)
        for id, kind, label, attrs in node_rows(n, nodes)
    ]
    edge_tuples = [(1, *row) for n in range(processes) for row in edge_rows(n, nodes, nodes)]
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for pragma in PRAGMAS:
            db.execute(f"PRAGMA {pragma}")
        db.execute("INSERT INTO snapshots (requested_at_ns, timeout_ms) VALUES (1, 1)")
        began = time.perf_counter()
        db.execute("BEGIN IMMEDIATE")
        db.executemany("INSERT INTO nodes VALUES (?, ?, ?, ?, ?, ?, ?)", node_tuples)
        db.executemany("INSERT INTO edges VALUES (?, ?, ?, ?, ?)", edge_tuples)
        db.execute("COMMIT")
        return time.perf_counter() - began


class Rig:
    """A daemon that ticks, and its clients."""

    def __init__(self, stack: ExitStack, directory: Path, processes: int, nodes: int) -> None:
        self._daemon = stack.enter_context(
            subprocess.Popen(
                [sys.executable, str(HERE / "ticking_daemon.py"), str(directory)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        )
        stack.callback(self._daemon.kill)
        ready = self._line()
        self._http = stack.enter_context(httpx.Client(base_url=ready["http"], timeout=600))
        peers = stack.enter_context(
            subprocess.Popen(
                [sys.executable, str(HERE / "raw_peers.py"), "127.0.0.1", str(ready["listen"]),
                 str(processes), str(nodes), str(nodes)],
                stdout=subprocess.PIPE,
            )
        )  # fmt: skip
        stack.callback(peers.kill)
        assert peers.stdout is not None
        peers.stdout.readline()
        while self._http.get("/api/connections").json()["count"] < processes:
            time.sleep(0.05)
        self.measured()

    def _line(self) -> dict[str, Any]:
        assert self._daemon.stdout is not None
        line: dict[str, Any] = json.loads(self._daemon.stdout.readline())
        return line

    def measured(self) -> dict[str, Any]:
        """What the daemon measured since the last call."""
        assert self._daemon.stdin is not None
        self._daemon.stdin.write(b"\n")
        self._daemon.stdin.flush()
        return self._line()

    def snapshot(self, processes: int) -> dict[str, Any]:
        """Take one; what it took."""
        self.measured()
        began = time.perf_counter()
        response = self._http.post("/api/jump-now", json={"timeout_ms": 60_000})
        wall_s = time.perf_counter() - began
        assert response.json()["responded"] == processes, response.text
        return self.measured() | {"wall_s": wall_s}


def bench(processes: int, nodes: int) -> str:
    """One row of the table: medians of ROUNDS."""
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        rig = Rig(stack, Path(directory), processes, nodes)
        rig.snapshot(processes)  # the first starts workers and makes peers known
        rounds, floors = [], []
        for n in range(ROUNDS):
            floors.append(floor_s(Path(directory) / f"floor{n}.sqlite", processes, nodes))
            rounds.append(rig.snapshot(processes))
    size = processes * (len(encoded_graph(0, nodes, nodes)) + 80)
    wall, floor = statistics.median(r["wall_s"] for r in rounds), statistics.median(floors)
    rows = 2 * processes * nodes
    peak = statistics.median(r["peak_bytes"] - r["resting_bytes"] for r in rounds)
    return (
        f"| {processes} x {nodes} | {size / 1e6:.1f} | {wall * 1e3:.0f} | {rows / wall / 1e3:.0f}k"
        f" | {floor * 1e3:.0f} | {wall / floor:.2f}"
        f" | {statistics.median(r['cpu_s'] for r in rounds):.2f}"
        f" | {peak / 1e6:.0f} ({peak / size:.1f}x)"
        f" | {statistics.median(r['gap_ms'] for r in rounds):.0f}"
        f" (worst {max(r['gap_ms'] for r in rounds):.0f}) |"
    )


def main() -> None:
    columns = ("processes x nodes", "MB", "jump-now ms", "rows/s", "floor ms", "ratio", "CPU s")
    print("| " + " | ".join((*columns, "peak MB", "stall ms")) + " |")
    print("| --- |" + " --: |" * 8)
    for size in sys.argv[1:] or SIZES:
        processes, _, nodes = size.partition("x")
        print(bench(int(processes), int(nodes)), flush=True)


if __name__ == "__main__":
    main()
