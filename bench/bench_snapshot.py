"""What a snapshot of many processes takes, from the request to the stored answer, against
inserting the same rows straight into SQLite.

    python bench/bench_snapshot.py [processes] [nodes] [edges]
"""

import json
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import httpx
import trio

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.e2e.test_many import peer
from tests.support.daemon import Daemon
from tests.support.peers import graph

from peepsd.store.schema import prepare_database

ROUNDS = 5


def plain_insert(path: Path, graphs: list[dict[str, list[dict[str, str]]]]) -> float:
    """Seconds to insert the same rows with one executemany a table, nothing else."""
    prepare_database(str(path), 0)
    nodes = sorted(
        (1, n["id"], n["kind"], "p", "p-1", n["attrs_json"], n["label"])
        for g in graphs
        for n in g["nodes"]
    )
    edges = sorted(
        (1, e["src"], e["dst"], e["kind"], e["attrs_json"]) for g in graphs for e in g["edges"]
    )
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("INSERT INTO snapshots (requested_at_ns, timeout_ms) VALUES (1, 1)")
        began = time.perf_counter()
        db.execute("BEGIN")
        db.executemany("INSERT INTO nodes VALUES (?, ?, ?, ?, ?, ?, ?)", nodes)
        db.executemany("INSERT OR IGNORE INTO edges VALUES (?, ?, ?, ?, ?)", edges)
        db.execute("COMMIT")
        return time.perf_counter() - began


async def snapshots(daemon: Daemon, graphs: list[dict[str, object]]) -> list[float]:
    """Seconds that each of ROUNDS snapshots took, as the one who asks sees it."""
    times = []
    async with (
        trio.open_nursery() as nursery,
        httpx.AsyncClient(base_url=daemon.url, timeout=600) as client,
    ):
        for n, g in enumerate(graphs):
            content = json.dumps(g).encode()
            nursery.start_soon(peer, daemon.listen, f"svc{n}", n + 1, content)
        while (await client.get("/api/connections")).json()["count"] < len(graphs):  # noqa: ASYNC110
            await trio.sleep(0.05)
        for _ in range(ROUNDS):
            began = time.perf_counter()
            response = await client.post("/api/jump-now", json={"timeout_ms": 60_000})
            times.append(time.perf_counter() - began)
            assert response.json()["responded"] == len(graphs), response.text
        nursery.cancel_scope.cancel()
    return times


def main() -> None:
    processes, nodes, edges = (int(a) for a in (*sys.argv[1:], 300, 500, 500)[:3])
    graphs = [graph(f"svc{n}", nodes, edges) for n in range(processes)]
    with tempfile.TemporaryDirectory() as directory, Daemon(Path(directory)) as daemon:
        took = sorted(trio.run(snapshots, daemon, graphs))
        plain = sorted(
            plain_insert(Path(directory) / f"plain{n}.sqlite", graphs) for n in range(ROUNDS)
        )
    median, base = took[ROUNDS // 2], plain[ROUNDS // 2]
    rows = processes * (nodes + edges)
    print(f"{processes} processes, {nodes} nodes and {edges} edges each: {rows} rows")
    print(f"  snapshot      median {median * 1e3:8.1f} ms  ({rows / median / 1e3:.0f}k rows/s)")
    print(f"  plain insert  median {base * 1e3:8.1f} ms   x{median / base:.2f}")


if __name__ == "__main__":
    main()
