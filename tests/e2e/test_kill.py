"""kill -9 at random moments under load: no completed snapshot is lost, none is half, and the
database passes its integrity check every time."""

import random
import signal
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import httpx

from ..support.daemon import Daemon
from ..support.peers import Peer, graph

KILLS = 50
PEERS, NODES = 4, 400


class Load:
    """Peers that always come back, and somebody who takes one snapshot after the other."""

    def __init__(self, daemon: Daemon) -> None:
        self.answered: set[int] = set()
        self._daemon = daemon
        self._is_over = threading.Event()
        self._threads = [
            threading.Thread(target=self._peer, args=(n,), daemon=True) for n in range(PEERS)
        ]
        self._threads.append(threading.Thread(target=self._jump, daemon=True))

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join(60)

    def _peer(self, n: int) -> None:
        while not self._is_over.is_set():
            try:
                with Peer(self._daemon.listen, f"p{n}", n + 1) as peer:
                    while (request := peer.read_frame()) is not None:
                        peer.reply(request["snapshot_id"], graph(f"p{n}", NODES, NODES))
            except OSError:
                time.sleep(0.01)

    def _jump(self) -> None:
        while not self._is_over.is_set():
            try:
                response = httpx.post(f"{self._daemon.url}/api/jump-now", timeout=30)
            except httpx.HTTPError:
                time.sleep(0.01)
                continue
            if response.status_code == 200:
                self.answered.add(response.json()["snapshot_id"])


def check(path: Path, answered: set[int]) -> int:
    """Assert that the database is sound; returns how many snapshots were cut short so far."""
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        completed = {
            sid
            for (sid,) in db.execute(
                "SELECT snapshot_id FROM snapshots"
                " WHERE completed_at_ns IS NOT NULL AND interrupted IS NULL"
            )
        }
        assert answered <= completed
        halves = db.execute(
            """SELECT p.snapshot_id, p.proc_key, p.nodes, p.edges, count(n.id)
               FROM snapshot_processes p LEFT JOIN nodes n USING (snapshot_id, proc_key)
               GROUP BY 1, 2 HAVING p.nodes <> count(n.id)
                   OR (p.status = 'responded') <> (count(n.id) > 0)"""
        ).fetchall()
        assert halves == []
        ((interrupted,),) = db.execute(
            "SELECT count(*) FROM snapshots WHERE interrupted IS NOT NULL"
        )
        return int(interrupted)


def test_fifty_kills_lose_nothing(tmp_path: Path) -> None:
    chance = random.Random(20260)
    daemon = Daemon(tmp_path, "--retain-snapshots", "1000000")
    daemon.start()
    interrupted = 0
    with Load(daemon) as load:
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.0, 0.4))
            daemon.stop(signal.SIGKILL)
            interrupted = check(daemon.db, set(load.answered))
            daemon.start()
        before = len(load.answered)
        deadline = time.monotonic() + 60
        while len(load.answered) < before + 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(load.answered) >= before + 3, "it takes snapshots after the last restart"
        assert daemon.stop() == 0  # now: it is what the peers wait for
    assert check(daemon.db, load.answered) >= interrupted
    assert interrupted > 0, "no kill hit a snapshot: the test proves nothing"
