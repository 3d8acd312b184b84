"""`peeps` and the answers of a live daemon, over real sockets."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from peepsd.store.packs import PACKS
from tests.support.answers_db import SECOND, START_NS, SnapshotBuilder, fill
from tests.support.daemon import Daemon, clean_environment
from tests.support.peers import Peer, wait_for_connections
from tests.support.waiting import wait_until

from .test_openapi import deadlocked


def peeps(daemon: Daemon, *words: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "peepsd.cli", *words],
        capture_output=True,
        text=True,
        timeout=120,
        env=clean_environment() | {"PEEPS_URL": daemon.url},
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("live")) as daemon:
        yield daemon


@contextmanager
def connected(daemon: Daemon, answer: Callable[[Peer, int], Any]) -> Iterator[Peer]:
    """A process, from connected to gone."""
    peer = Peer(daemon.listen, "web", 7)
    peer.hello()
    peer.serve(lambda n: answer(peer, n))
    wait_for_connections(daemon.url, 1)
    yield peer
    peer.socket.shutdown(socket.SHUT_RDWR)  # its thread still reads: close() alone would wait
    peer.close()
    wait_for_connections(daemon.url, 0)


def always_deadlocked(peer: Peer, n: int) -> Any:
    return peer.reply_message(n, deadlocked("web", n))


@pytest.fixture
def web(daemon: Daemon) -> Iterator[Peer]:
    """A process that is deadlocked whenever it is asked."""
    with connected(daemon, always_deadlocked) as peer:
        yield peer


def newest(daemon: Daemon) -> int:
    found = daemon.get("/api/snapshots").json()["snapshots"]
    return int(found[0]["snapshot_id"]) if found else 0


def test_why_takes_a_snapshot_and_confirms_by_a_second(daemon: Daemon, web: Peer) -> None:
    before = newest(daemon)
    status, out, err = peeps(daemon, "why")
    assert (status, err) == (0, "")
    assert out.startswith("Deadlock (seen twice)")
    assert newest(daemon) == before + 2


def test_deadlocks_and_check_exit_with_1(daemon: Daemon, web: Peer) -> None:
    status, out, _ = peeps(daemon, "deadlocks", "--json")
    (knot,) = json.loads(out)["deadlocks"]
    assert (status, knot["status"]) == (1, "confirmed")
    status, out, _ = peeps(daemon, "check", "--json")
    assert status == 1
    assert json.loads(out)["findings"][0]["kind"] == "deadlock"


def test_a_circle_that_dissolves_is_no_deadlock(daemon: Daemon) -> None:
    asked: list[int] = []

    def answer(peer: Peer, n: int) -> Any:
        asked.append(n)
        graph = deadlocked("web", n)
        if len(asked) > 1:
            graph["edges"] = graph["edges"][3:]
        return peer.reply_message(n, graph)

    with connected(daemon, answer):
        status, out, _ = peeps(daemon, "deadlocks")
    assert (status, len(asked)) == (0, 2)
    assert out.startswith("No deadlock.")


def test_at_asks_about_a_stored_snapshot_and_takes_none(daemon: Daemon, web: Peer) -> None:
    taken = daemon.jump()["snapshot_id"]
    for at in (str(taken), "latest"):
        status, out, _ = peeps(daemon, "why", "web-7/b", "--at", at, "--json")
        assert (status, json.loads(out)["snapshot_id"]) == (0, taken)
    assert newest(daemon) == taken


def test_jump_and_lists(daemon: Daemon, web: Peer) -> None:
    status, out, _ = peeps(daemon, "jump")
    assert status == 0
    assert "1 of 1 answered" in out
    assert "web-7" in peeps(daemon, "connections")[1]
    assert json.loads(peeps(daemon, "snapshots", "--json")[1])["snapshots"]
    assert "task 'a'" in peeps(daemon, "tree", "web")[1]


def test_nobody_connected(daemon: Daemon) -> None:
    wait_for_connections(daemon.url, 0)
    status, _, err = peeps(daemon, "why")
    assert (status, "no process is connected" in err) == (3, True)


def test_recording(daemon: Daemon, web: Peer) -> None:
    before = newest(daemon)
    status, _, err = peeps(daemon, "record-snapshots", "--every", "100ms", "--for", "500ms")
    assert (status, err) == (0, "")
    assert before + 1 <= newest(daemon) <= before + 5
    listed = json.loads(peeps(daemon, "snapshots", "--json")[1])["snapshots"]
    assert listed[0]["requested_at_ns"] > listed[-1]["requested_at_ns"]


def test_sharing_from_a_daemon(daemon: Daemon, web: Peer, tmp_path: Path) -> None:
    taken = daemon.jump()["snapshot_id"]
    out = tmp_path / "hang.peeps"
    status, _, err = peeps(daemon, "share", str(taken), str(out))
    assert (status, err) == (0, "")
    here = peeps(daemon, "why", "--at", str(taken))
    there = peeps(daemon, "why", "--db", str(out))
    assert here == there


def test_the_daemons_file_can_be_read_beside_it(daemon: Daemon, web: Peer) -> None:
    taken = daemon.jump()["snapshot_id"]
    live = peeps(daemon, "why", "--at", str(taken), "--json")
    file = peeps(daemon, "why", "--db", str(daemon.db), "--at", str(taken), "--json")
    assert json.loads(live[1]) == json.loads(file[1])


@pytest.mark.parametrize("name", PACKS)
def test_every_named_query_runs_in_the_sandbox(daemon: Daemon, name: str) -> None:
    """And gives what it gives outside of it, where there is more time."""
    with sqlite3.connect(daemon.db, isolation_level=None, timeout=30) as db:
        (there,) = db.execute("SELECT count(*) FROM snapshots WHERE snapshot_id > 900").fetchone()
        if not there:
            for n in (901, 902):
                fill(SnapshotBuilder(db, n, START_NS + n * SECOND))
    order = {"sql": PACKS[name].sql, "params": [100], "snapshot_id": 902}
    response = daemon.post("/api/sql", order)
    assert response.status_code == 200, response.text
    found = response.json()
    assert daemon.post("/api/query", {"name": name, "snapshot_id": 902}).json() == found
    status, out, _ = peeps(daemon, "query", name, "--db", str(daemon.db), "--at", "902", "--json")
    assert (status, json.loads(out)) == (0, found)


def test_snapshots_by_themselves(tmp_path: Path) -> None:
    with Daemon(tmp_path, "--every", "150ms") as daemon, Peer(daemon.listen, "web", 7) as peer:
        peer.hello()
        peer.serve()
        assert wait_until(lambda: newest(daemon) >= 2, "two snapshots")


def test_a_snapshot_on_a_signal(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon, Peer(daemon.listen, "web", 7) as peer:
        peer.hello()
        peer.serve()
        wait_for_connections(daemon.url, 1)
        os.kill(daemon.process.pid, signal.SIGUSR1)
        assert wait_until(lambda: newest(daemon) == 1, "a snapshot")
