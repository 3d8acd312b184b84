"""Peers that mean no good: each costs itself at most, the daemon goes on and says what it saw."""

import contextlib
import json
import resource
import socket
import sqlite3
import struct
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ..support.daemon import Daemon
from ..support.peers import Peer, frame, graph, wait_for_connections
from ..support.waiting import wait_until

TOKEN = "a token of sixteen letters or more"


def event_kinds(daemon: Daemon) -> set[str]:
    with closing(sqlite3.connect(daemon.db)) as db:
        return {kind for (kind,) in db.execute("SELECT event_kind FROM ingest_events")}


def assert_still_works(daemon: Daemon) -> None:
    """A good peer takes part in a snapshot."""
    before = daemon.get("/api/connections").json()["count"]
    with Peer(daemon.listen, "good", 4711).serve():
        wait_for_connections(daemon.url, before + 1)
        summary = daemon.jump(timeout_ms=20_000)
    assert "good-4711" in {
        p["proc_key"] for p in summary["processes"] if p["status"] == "responded"
    }


@pytest.mark.parametrize(
    "greeting",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /api/jump-now HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\0\0\0\0",
        b"\xff\xff\xff\xff",
        struct.pack(">I", (64 << 20) + 1),
    ],
)
def test_other_protocols_and_length_bombs_are_closed(daemon: Daemon, greeting: bytes) -> None:
    with Peer(daemon.listen) as peer:
        peer.socket.sendall(greeting)
        assert peer.is_cut()
    wait_until(lambda: "frame_too_large" in event_kinds(daemon), "the event")
    assert_still_works(daemon)


def test_a_reset_inside_a_frame_is_on_record(daemon: Daemon) -> None:
    with Peer(daemon.listen) as peer:
        peer.socket.sendall(frame(b" " * 100)[:50])
        wait_until(
            lambda: daemon.get("/api/connections").json()["connections"][0]["bytes_in"] == 50,
            "half a frame is there",
        )
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.socket.close()
    wait_until(lambda: "truncated_frame" in event_kinds(daemon), "the event")
    assert_still_works(daemon)


HEAD = b'{"type":"graph_reply","snapshot_id":%d,"process":"bad","pid":1,'


def hostile(kind: str, sid: int) -> bytes:
    head = HEAD % sid
    return {
        "unknown brackets": head + b'"x":[' + b"[]," * (5 << 20) + b'0],"graph":null}',
        "node brackets": head + b'"graph":{"nodes":[' + b"[]," * (1 << 20) + b'0],"edges":[]}}',
        "depth": head + b'"graph":' + b"[" * (1 << 20),
        "depth in attrs": head
        + b'"graph":{"nodes":[{"id":"a","kind":"b","attrs_json":"'
        + b"[" * 100_000
        + b'"}],"edges":[]}}',
        "nan": head + b'"graph":{"nodes":[{"id":"a","kind":"b","attrs":{"x":NaN}}],"edges":[]}}',
        "huge integer": head.replace(b'"pid":1', b'"pid":1' + b"0" * 5000) + b'"graph":null}',
        "duplicate keys": head + head[1:] + b'"graph":null}',
        "not utf-8": head + b'"graph":null,"error":"\xff\xfe"}',
    }[kind]


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("unknown brackets", "responded"),
        ("node brackets", "responded"),
        ("depth", "error"),
        ("depth in attrs", "responded"),
        ("nan", "error"),
        ("huge integer", "error"),
        ("duplicate keys", "responded"),
        ("not utf-8", "error"),
    ],
)
def test_hostile_json_costs_its_sender_alone(daemon: Daemon, kind: str, status: str) -> None:
    with Peer(daemon.listen, "bad", 1).serve(lambda sid: frame(hostile(kind, sid))) as peer:
        peer.hello()
        wait_for_connections(daemon.url, 1)
        with Peer(daemon.listen, "good", 2).serve():
            wait_for_connections(daemon.url, 2)
            summary = daemon.jump(timeout_ms=3000)
    ends = {p["process"]: p["status"] for p in summary["processes"]}
    assert ends["good"] == "responded"
    assert ends["bad"] == status
    assert_still_works(daemon)


def test_a_reply_for_somebody_else_is_refused(daemon: Daemon) -> None:
    with Peer(daemon.listen, "honest", 1) as honest, Peer(daemon.listen, "liar", 2) as liar:
        honest.hello()
        liar.hello()
        wait_until(
            lambda: (
                {c["process"] for c in daemon.get("/api/connections").json()["connections"]}
                == {"honest", "liar"}
            ),
            "both are known",
        )
        liar.process, liar.pid = "honest", 1
        liar.serve()
        honest.serve()
        summary = daemon.jump()
    assert sorted(p["proc_key"] for p in summary["processes"]) == ["honest-1", "liar-2"]
    wait_until(lambda: "identity_changed" in event_kinds(daemon), "the event")


def test_names_cannot_write_to_terminals(daemon: Daemon) -> None:
    evil = "\x1b]0;pwned\x07<script>\u202e"
    with Peer(daemon.listen, evil, 1).serve(lambda sid: graph("e")):
        wait_for_connections(daemon.url, 1)
        (process,) = daemon.jump()["processes"]
    assert not set(process["process"]) & {"\x1b", "\x07", "\u202e"}
    assert process["proc_key"].replace("-", "").isalnum()


def test_a_token_is_needed_and_a_seed_only_peer_has_none(tmp_path: Path) -> None:
    with Daemon(tmp_path, "--token", TOKEN) as daemon:
        with Peer(daemon.listen, "thief", 1) as thief:
            thief.hello(token=TOKEN[:-1] + "x")
            assert thief.is_cut()
        with Peer(daemon.listen, "seed", 2) as seed:
            seed.reply(1, graph("seed"))
            assert seed.is_cut()
        wait_until(lambda: "unauthorised" in event_kinds(daemon), "the event")
        with closing(sqlite3.connect(daemon.db)) as db:
            assert TOKEN[:-1] not in str(db.execute("SELECT * FROM ingest_events").fetchall())
        assert TOKEN not in daemon.log()
        lines = [json.loads(line) for line in daemon.log().splitlines() if "refused a" in line]
        found = daemon.get("/api/events?limit=5", headers={"Authorization": f"Bearer {TOKEN}"})
        assert [e["event_kind"] for e in found.json()["events"]] == ["unauthorised"]
        assert daemon.get("/api/events").status_code == 401
        (said,) = lines  # of two from the same host
        assert said["level"] == "warning"
        assert "its hello carries no token, or a wrong one" in said["detail"]
        assert "PEEPS_TOKEN" in said["todo"]


def test_a_message_that_nobody_understands_is_told_once(daemon: Daemon) -> None:
    with Peer(daemon.listen, "odd", 1) as odd:
        odd.hello()
        for _ in range(50):
            odd.send(b"{")
            odd.send(b'{"type": "news"}')
        wait_until(lambda: "unexpected_message" in daemon.log(), "the line")
    lines = [line for line in daemon.log().splitlines() if "passed over a message" in line]
    assert [json.loads(line)["event_kind"] for line in lines] == [
        "decode_error",
        "unexpected_message",
    ]


def test_running_out_of_descriptors_is_survived_and_said(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        limit = len(list(Path(f"/proc/{daemon.process.pid}/fd").iterdir())) + 8
        _, hard = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (limit, hard))
        peers = [Peer(daemon.listen, f"p{n}", n + 1) for n in range(40)]
        wait_until(lambda: "out of file descriptors" in daemon.log(), "the log line")
        assert daemon.log().count("out of file descriptors") == 1
        for peer in peers:
            peer.close()
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (hard, hard))
        wait_until(lambda: "accepting connections again" in daemon.log(), "recovery")
        wait_for_connections(daemon.url, 0)
        assert_still_works(daemon)


def test_too_many_connections_are_refused_and_said(tmp_path: Path) -> None:
    with Daemon(tmp_path, "--max-connections", "3") as daemon:
        peers: list[Any] = [Peer(daemon.listen, f"p{n}", n + 1).serve() for n in range(3)]
        for peer in peers:
            peer.hello()
        wait_until(lambda: "unidentified_connections 0" in daemon.get("/metrics").text, "hellos")
        wait_for_connections(daemon.url, 3)
        with Peer(daemon.listen) as late:
            assert late.is_cut()
        assert "too many connections" in daemon.log()
        assert daemon.jump()["responded"] == 3
        for peer in peers:
            peer.close()


def test_silent_connections_at_the_limit_lock_nobody_out(tmp_path: Path) -> None:
    def is_let_in() -> bool:
        peer = Peer(daemon.listen, "late", 9)
        with contextlib.suppress(OSError):
            peer.hello()
            peers.append(peer.serve())
        known = daemon.get("/api/connections").json()["connections"]
        return "late" in {c["process"] for c in known}

    with Daemon(tmp_path, "--max-connections", "3") as daemon:
        peers: list[Any] = [Peer(daemon.listen, "answers", 1).serve()]
        wait_for_connections(daemon.url, 1)
        assert daemon.jump()["responded"] == 1
        peers += [Peer(daemon.listen) for _ in range(2)]
        wait_for_connections(daemon.url, 3)
        wait_until(is_let_in, "a silent one has made room")
        wait_until(lambda: "evicted_connection" in event_kinds(daemon), "the event")
        assert "cut one that had never sent a byte" in daemon.log()
        assert "peepsd_evicted_connections_total 0" not in daemon.get("/metrics").text
        summary = daemon.jump(timeout_ms=1000)
        responded = {p["process"] for p in summary["processes"] if p["status"] == "responded"}
        assert {"answers", "late"} <= responded
        for peer in peers:
            peer.close()


def test_nothing_of_a_peer_reaches_the_log_unescaped(daemon: Daemon) -> None:
    with Peer(daemon.listen, 'x"}\n{"event": "forged', 1) as peer:
        peer.hello()
        wait_for_connections(daemon.url, 1)
    wait_for_connections(daemon.url, 0)
    lines = [json.loads(line) for line in daemon.log().splitlines() if line.startswith("{")]
    assert any('x"}' in str(line.get("proc_key", "")) or "forged" in str(line) for line in lines)
    assert all(line.get("event") != "forged" for line in lines)
