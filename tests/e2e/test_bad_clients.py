"""Clients that misbehave: what becomes of their connection, what is on record, and that
everybody else's snapshot is whole."""

import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest

from ..support.daemon import Daemon
from ..support.peers import Peer, frame, graph, wait_for_connections
from ..support.waiting import wait_until

NODES = 50


def events(daemon: Daemon) -> dict[str, int]:
    """How often each kind of event is on record."""
    with closing(sqlite3.connect(daemon.db)) as db:
        return dict(db.execute("SELECT event_kind, sum(count) FROM ingest_events GROUP BY 1"))


def assert_whole(daemon: Daemon, snapshot_id: int) -> None:
    """The good peer's graph is there, every row of it."""
    with closing(sqlite3.connect(daemon.db)) as db:
        rows = db.execute(
            "SELECT count(*) FROM nodes WHERE snapshot_id = ? AND process = 'good'", (snapshot_id,)
        ).fetchone()
    assert rows == (NODES,)


def good(daemon: Daemon) -> Peer:
    return Peer(daemon.listen, "good", 1).serve(lambda sid: graph("good", NODES, NODES))


HELLO = frame({"type": "hello", "process": "bad", "pid": 2})
REPLY = frame(
    Peer.reply_message.__get__(type("P", (), {"process": "bad", "pid": 2}))(1, graph("b"))
)

Step = Callable[[Peer], object]

VANISHES: dict[str, tuple[Step, str, str | None]] = {
    # step: (what it does before it hangs up once asked, its status, the event)
    "at once": (lambda p: None, "disconnected", None),
    "inside the length": (lambda p: p.socket.sendall(REPLY[:2]), "disconnected", "truncated_frame"),
    "after the length": (lambda p: p.socket.sendall(REPLY[:4]), "disconnected", "truncated_frame"),
    "inside the reply": (lambda p: p.socket.sendall(REPLY[:99]), "disconnected", "truncated_frame"),
    "after a hello": (lambda p: p.socket.sendall(HELLO), "disconnected", None),
    "after its reply": (lambda p: p.socket.sendall(REPLY), "responded", None),
    "after a bad reply": (lambda p: p.send(b"{"), "disconnected", "decode_error"),
}


@pytest.mark.parametrize("step", VANISHES)
def test_a_client_that_vanishes(daemon: Daemon, step: str) -> None:
    act, status, event = VANISHES[step]
    bad = Peer(daemon.listen, "bad", 2)
    with good(daemon):
        wait_for_connections(daemon.url, 2)

        def answer(sid: int) -> None:
            act(bad)
            bad.close()

        bad.serve(answer)
        summary = daemon.jump(timeout_ms=60_000)
    assert {p["status"] for p in summary["processes"] if p["process"] != "good"} == {status}
    assert summary["elapsed_ms"] < 50_000, "nobody waits for the dead"
    assert_whole(daemon, summary["snapshot_id"])
    if event is not None:
        wait_until(lambda: event in events(daemon), f"{event} on record")


def test_a_client_that_vanishes_before_anybody_asks(daemon: Daemon) -> None:
    for beginning in (b"", b"\0", REPLY[:4], REPLY[:99], HELLO):
        with Peer(daemon.listen, "bad", 2) as bad:
            bad.socket.sendall(beginning)
    with good(daemon):
        wait_for_connections(daemon.url, 1)
        summary = daemon.jump()
    assert summary["requested"] == 1
    assert_whole(daemon, summary["snapshot_id"])


def flood(daemon: Daemon, frames: int) -> None:
    with good(daemon), Peer(daemon.listen, "flood", 2) as bad:
        bad.hello()
        wait_for_connections(daemon.url, 2)
        batch = frame(b"{}") * 1000
        for n in range(frames // 1000):
            bad.socket.sendall(batch)
            if n == frames // 2000:
                summary = daemon.jump(timeout_ms=5000)
        seen = wait_until(
            lambda: events(daemon).get("decode_error") == frames, f"all {frames} counted", 300
        )
    assert seen
    assert {p["process"]: p["status"] for p in summary["processes"]}["good"] == "responded"
    assert_whole(daemon, summary["snapshot_id"])
    with closing(sqlite3.connect(daemon.db)) as db:
        ((rows,),) = db.execute("SELECT count(*) FROM ingest_events")
    assert rows < 20, "a flood is counted, not written line by line"


def test_many_tiny_frames(daemon: Daemon) -> None:
    flood(daemon, 50_000)


@pytest.mark.soak
def test_a_million_tiny_frames(daemon: Daemon) -> None:
    flood(daemon, 1_000_000)


def test_a_client_that_never_reads(daemon: Daemon) -> None:
    with good(daemon), Peer(daemon.listen, "deaf", 2) as deaf:
        deaf.hello()
        wait_for_connections(daemon.url, 2)
        for _ in range(5):
            summary = daemon.jump(timeout_ms=200)
            ends = {p["process"]: p["status"] for p in summary["processes"]}
            assert ends == {"good": "responded", "deaf": "timeout"}
            assert_whole(daemon, summary["snapshot_id"])
        (known,) = [
            c for c in daemon.get("/api/connections").json()["connections"] if c["pid"] == 2
        ]
    assert known["missed_in_a_row"] == 5, "it stays connected, and is on record as silent"
