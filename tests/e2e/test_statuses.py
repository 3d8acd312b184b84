"""Every status once, with a real daemon and real sockets."""

import sqlite3
from typing import Any

from ..support.daemon import Daemon
from ..support.peers import Peer, frame, graph, wait_for_connections
from ..support.waiting import wait_until


def statuses(daemon: Daemon, snapshot_id: int) -> dict[str, tuple[str, str | None]]:
    with sqlite3.connect(daemon.db) as db:
        rows = db.execute(
            "SELECT process, status, error_text FROM snapshot_processes WHERE snapshot_id = ?",
            (snapshot_id,),
        ).fetchall()
    db.close()
    return {process: (status, text) for process, status, text in rows}


def events(daemon: Daemon, kind: str) -> list[tuple[Any, ...]]:
    db = sqlite3.connect(daemon.db)
    try:
        return db.execute(
            "SELECT proc_key, detail, count FROM ingest_events WHERE event_kind = ?", (kind,)
        ).fetchall()
    finally:
        db.close()


def test_each_process_ends_in_its_own_status(daemon: Daemon) -> None:
    peers = [
        Peer(daemon.listen, "good", 1).serve(),
        Peer(daemon.listen, "silent", 2).serve(lambda sid: None),
        Peer(daemon.listen, "graphless", 3).serve(
            lambda sid: {
                "type": "graph_reply", "snapshot_id": sid, "process": "graphless", "pid": 3,
                "graph": None, "error": "the registry is locked",
            }
        ),
        Peer(daemon.listen, "wrong", 4).serve(
            lambda sid: {
                "type": "graph_reply", "snapshot_id": sid, "process": "wrong", "pid": "four",
                "graph": None,
            }
        ),
        Peer(daemon.listen, "babbling", 5).serve(lambda sid: frame(b"{not json")),
    ]  # fmt: skip
    quitter = Peer(daemon.listen, "quitter", 6).serve(lambda sid: quitter.close())
    for peer in (*peers, quitter):
        peer.hello()
    wait_until(
        lambda: (
            all(c["identified"] for c in daemon.get("/api/connections").json()["connections"])
            and daemon.get("/api/connections").json()["count"] == 6
        ),
        "six identified connections",
    )

    summary = daemon.jump(timeout_ms=300)

    got = statuses(daemon, summary["snapshot_id"])
    assert got["good"] == ("responded", None)
    assert got["silent"] == ("timeout", None)
    assert got["graphless"] == ("responded", "the registry is locked")
    assert got["wrong"][0] == "error"
    assert "pid" in str(got["wrong"][1])
    assert got["babbling"][0] == "error"
    assert "not a protocol message" in str(got["babbling"][1])
    assert got["quitter"][0] == "disconnected"
    assert {k: summary[k] for k in ("requested", "responded", "timed_out", "disconnected")} == {
        "requested": 6,
        "responded": 2,
        "timed_out": 1,
        "disconnected": 1,
    }
    assert summary["errors"] == 2
    for peer in peers:
        peer.close()


def test_a_seed_only_peer_is_waited_for_by_nobody_longer_than_it_takes(daemon: Daemon) -> None:
    with Peer(daemon.listen, "seed", 7).serve():
        wait_for_connections(daemon.url, 1)
        summary = daemon.jump(timeout_ms=60_000)
    assert summary["elapsed_ms"] < 30_000
    (process,) = summary["processes"]
    assert (process["proc_key"], process["status"]) == ("seed-7", "responded")


def test_twins_with_one_name_and_pid_are_kept_apart(daemon: Daemon) -> None:
    with (
        Peer(daemon.listen, "web", 1).serve(lambda sid: graph("twin-a")),
        Peer(daemon.listen, "web", 1).serve(lambda sid: graph("twin-b")),
    ):
        wait_for_connections(daemon.url, 2)
        summary = daemon.jump()
    assert sorted(p["proc_key"] for p in summary["processes"]) == ["web-1", "web-1~2"]
    db = sqlite3.connect(daemon.db)
    assert db.execute("SELECT count(*) FROM nodes").fetchone() == (2,)
    db.close()


def test_late_duplicate_and_unasked_replies_are_on_record(daemon: Daemon) -> None:
    with Peer(daemon.listen, "late", 8) as peer:
        peer.hello()
        wait_for_connections(daemon.url, 1)
        first = daemon.jump(timeout_ms=1)["snapshot_id"]
        request = peer.read_frame()
        assert request is not None
        assert request["snapshot_id"] == first
        peer.reply(first, graph("late"))
        wait_until(lambda: events(daemon, "late_reply"), "a late_reply event")

        peer.reply(first + 1000, graph("late"))
        wait_until(lambda: events(daemon, "snapshot_id_mismatch"), "a mismatch event")

        peer.serve(lambda sid: 2 * frame(peer.reply_message(sid, graph("late"))))
        assert daemon.jump()["responded"] == 1
        wait_until(lambda: events(daemon, "duplicate_reply"), "a duplicate event")


def test_an_oversized_length_closes_and_says_so(daemon: Daemon) -> None:
    with Peer(daemon.listen) as peer:
        peer.socket.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert peer.is_cut()
    wait_until(lambda: events(daemon, "frame_too_large"), "a frame_too_large event")


def test_bad_json_keeps_the_connection(daemon: Daemon) -> None:
    with Peer(daemon.listen, "sloppy", 9).serve(
        lambda sid: frame(b"[]") + frame(peer.reply_message(sid, graph("sloppy")))
    ) as peer:
        wait_for_connections(daemon.url, 1)
        assert daemon.jump()["responded"] == 1
    wait_until(lambda: events(daemon, "decode_error"), "a decode_error event")


def test_a_flood_of_bad_frames_is_one_row_with_a_count(daemon: Daemon) -> None:
    with Peer(daemon.listen, "flood", 10) as peer:
        peer.hello()
        peer.socket.sendall(frame(b"nonsense") * 5000)
        rows = wait_until(
            lambda: [r for r in events(daemon, "decode_error") if r[2] == 5000],
            "all 5000 counted",
        )
    assert len(rows) == 1
    assert len(events(daemon, "decode_error")) == 1


def test_a_large_reply_is_decoded_elsewhere_and_stored_whole(daemon: Daemon) -> None:
    nodes, edges = 20_000, 20_000
    with Peer(daemon.listen, "large", 11).serve(lambda sid: graph("large", nodes, edges)):
        wait_for_connections(daemon.url, 1)
        summary = daemon.jump(timeout_ms=60_000)
    assert summary["processes"][0]["nodes"] == nodes
    db = sqlite3.connect(daemon.db)
    assert db.execute("SELECT count(*) FROM nodes").fetchone() == (nodes,)
    db.close()
