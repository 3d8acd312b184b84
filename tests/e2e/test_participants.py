"""libp2p nodes in a snapshot of a real daemon, with servers of every sort."""

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
import trio

from peepsd.feed.pb import introspection_pb2 as pb
from peepsd.feed.recording import RecordingWriter
from peepsd.feed.replay import ReplayFeed, open_recording

from ..support.daemon import Daemon
from ..support.feed_server import live_feed, serving, until
from ..support.introspection_server import Node, bare, binary, text, websocket_server
from ..support.recordings import a_state, write_recording
from ..unit.test_recording import SAMPLE, needs_sample
from .test_feed_commands import replaying


@asynccontextmanager
async def daemon_with(directory: Path, *urls: str) -> AsyncIterator[Daemon]:
    """A daemon that dials these, once all have been reached."""
    flags = [flag for url in urls for flag in ("--introspect", url)]
    daemon = Daemon(directory, *flags)
    await trio.to_thread.run_sync(daemon.start)
    try:
        yield daemon
    finally:
        assert await trio.to_thread.run_sync(daemon.stop) == 0


async def get(daemon: Daemon, path: str) -> Any:
    return (await trio.to_thread.run_sync(daemon.get, path)).json()


async def connections(daemon: Daemon, count: int, *, identified: bool = True) -> None:
    with trio.fail_after(30):
        while True:
            found = (await get(daemon, "/api/connections"))["connections"]
            if sum(c["identified"] or not identified for c in found) == count:
                return
            await trio.sleep(0.05)


async def jump(daemon: Daemon, timeout_ms: int = 10_000) -> dict[str, dict[str, Any]]:
    """Each process's row of a snapshot, by the name of the node."""
    summary = await trio.to_thread.run_sync(lambda: daemon.jump(timeout_ms=timeout_ms))
    return {row["process"].rpartition("-")[2]: row for row in summary["processes"]}


def write_messages(path: Path, state: pb.State, name: str) -> None:
    """A recording of one State, of a node of this name."""
    runtime = pb.Runtime(implementation="go", peer_id=name, send_state_interval_ms=1_000)
    version = pb.Version(version=1)
    with path.open("wb") as file:
        writer = RecordingWriter(file)
        for message in (
            pb.ServerMessage(version=version, runtime=runtime),
            pb.ServerMessage(version=version, state=state),
        ):
            writer.write(message.SerializeToString())


def rows(daemon: Daemon, sql: str) -> list[Any]:
    with closing(sqlite3.connect(daemon.db)) as database:
        return database.execute(sql).fetchall()


async def test_servers_of_every_sort_and_framing_answer(tmp_path: Path) -> None:
    write_recording(tmp_path / "r.mock", states=3)
    recording = open_recording(tmp_path / "r.mock")
    sorts = {
        "pushing": (Node("pushing", text), "pushing_signals"),
        "pushbin": (Node("pushbin", binary), "pushing_signals"),
        "greeting": (Node("greeting", bare), "greeting_signals"),
        "silent": (Node("silent", bare), "silent_commands"),
        "silentbin": (Node("silentbin", binary), "silent_commands"),
        "chatty": (Node("chatty", text), "chatty_commands"),
    }
    async with AsyncExitStack() as stack:
        urls = [
            await stack.enter_async_context(websocket_server(getattr(node, sort)))
            for node, sort in sorts.values()
        ]
        port = await stack.enter_async_context(serving(ReplayFeed(recording)))
        urls += [f"ws://127.0.0.1:{port}{path}" for path in ("/introspect", "/observer")]
        urls += [f"ws://127.0.0.1:{port}/observer?protocol=command"]
        daemon = await stack.enter_async_context(daemon_with(tmp_path, *urls))
        await connections(daemon, len(urls))
        summary = await trio.to_thread.run_sync(lambda: daemon.jump(timeout_ms=20_000))
        assert summary["responded"] == len(urls), summary
        found = {row["process"] for row in summary["processes"]}
        assert found == {f"go-libp2p-{name}" for name in (*sorts, "me")}
        for row in summary["processes"]:
            # the node, 3 peers, 2 connections, 2 streams, a bucket; "me" is told of thrice
            assert row["nodes"] in (9, 0), row
    node, _ = sorts["silent"]
    assert node.heard[0].startswith(bytes.fromhex("0a020801"))


async def test_a_state_is_stored_as_a_graph(tmp_path: Path) -> None:
    node = Node("me", bare)
    async with (
        websocket_server(node.greeting_signals) as url,
        daemon_with(tmp_path, url) as daemon,
    ):
        await connections(daemon, 1)
        found = await jump(daemon)
        assert found["me"]["status"] == "responded"
        kinds = dict(rows(daemon, "SELECT kind, count(*) FROM nodes GROUP BY kind"))
        assert kinds == {
            "libp2p_node": 1,
            "libp2p_peer": 3,
            "libp2p_connection": 2,
            "libp2p_stream": 2,
            "dht_bucket": 1,
        }
        [(attrs,)] = rows(
            daemon, "SELECT attrs_json FROM nodes WHERE id = 'libp2p_connection:me/01000000'"
        )
        connection = json.loads(attrs)
        assert connection["peer_id"] == "peer1"
        assert connection["status"] == "active"
        assert (connection["in_bytes"], connection["out_bytes"]) == (10, 20)
        assert connection["latency_ns"] == 5_000_000
        assert connection["open_ts"] > 0
        edges = set(rows(daemon, "SELECT src_id, kind, dst_id FROM edges"))
        assert {
            ("libp2p_peer:me/peer1", "spawned", "libp2p_connection:me/01000000"),
            ("libp2p_connection:me/01000000", "touches", "libp2p_node:me"),
            ("libp2p_stream:me/01000000/00000000", "touches", "libp2p_connection:me/01000000"),
            ("libp2p_node:me", "touches", "dht_bucket:me/3"),
            ("dht_bucket:me/3", "touches", "libp2p_peer:me/far away"),
        } <= edges
        # peers that do not take part stay unresolved, with their ids
        unresolved = rows(daemon, "SELECT dst_id, missing_side, reason FROM unresolved_edges")
        assert ("libp2p_node:peer1", "dst", "no_such_node") in unresolved
        [(process, status, captured)] = rows(
            daemon, "SELECT process, status, captured_at_ns FROM snapshot_processes"
        )
        assert (process, status) == ("go-libp2p-me", "responded")
        assert captured > 0


async def test_two_nodes_that_know_each_other_are_joined(tmp_path: Path) -> None:
    one, other = Node("peer1", bare), Node("peer2", bare)
    async with (
        websocket_server(one.greeting_signals) as url,
        websocket_server(other.greeting_signals) as other_url,
        daemon_with(tmp_path, url, other_url) as daemon,
    ):
        await connections(daemon, 2)
        await jump(daemon)
        edges = set(rows(daemon, "SELECT src_id, kind, dst_id FROM edges"))
        assert ("libp2p_peer:peer1/peer2", "touches", "libp2p_node:peer2") in edges
        assert ("libp2p_peer:peer2/peer1", "touches", "libp2p_node:peer1") in edges
        assert rows(daemon, "SELECT dst_id FROM unresolved_edges") == []


async def test_every_other_end_has_its_status(tmp_path: Path) -> None:
    refusing, hanging_up, babbling, mute = (
        Node("refusing", bare),
        Node("hanging", bare),
        Node("babbling", bare),
        Node("mute", bare),
    )
    async with (
        websocket_server(refusing.refusing_commands) as url_1,
        websocket_server(hanging_up.hanging_up) as url_2,
        websocket_server(babbling.babbling) as url_3,
        websocket_server(mute.mute) as url_4,
        daemon_with(tmp_path, url_1, url_2, url_3, url_4) as daemon,
    ):
        await connections(daemon, 4, identified=False)
        await connections(daemon, 2)
        await until(lambda: len(refusing.heard) >= 2)  # HELLO went well
        summary = await trio.to_thread.run_sync(lambda: daemon.jump(timeout_ms=2_000))
        endings = sorted((row["status"], row["error_text"] or "") for row in summary["processes"])
        statuses = [status for status, _ in endings]
        assert statuses == ["disconnected", "error", "error", "timeout"]
        texts = dict(endings)
        assert "going home" in texts["disconnected"]
        errors = " ".join(text for status, text in endings if status == "error")
        assert "not today" in errors
        assert "no ServerMessage" in errors


async def test_a_server_that_cannot_be_dialled_costs_nobody_else(tmp_path: Path) -> None:
    node = Node("me", bare)
    async with websocket_server(node.greeting_signals) as url:
        without_tls = url.replace("ws:", "wss:")
        async with daemon_with(tmp_path, without_tls, url) as daemon:
            await connections(daemon, 1)
            await until(lambda: "TLS" in daemon.log())
            assert (await jump(daemon))["me"]["status"] == "responded"


async def test_a_node_that_was_away_takes_part_again(tmp_path: Path) -> None:
    node = Node("me", bare)
    async with AsyncExitStack() as stack:
        server = AsyncExitStack()
        url = await server.enter_async_context(websocket_server(node.greeting_signals))
        port = int(url.rpartition(":")[2].partition("/")[0])
        daemon = await stack.enter_async_context(daemon_with(tmp_path, url))
        await connections(daemon, 1)
        await server.aclose()
        await connections(daemon, 0, identified=False)
        async with websocket_server(node.greeting_signals, port):
            await connections(daemon, 1)
            assert (await jump(daemon))["me"]["status"] == "responded"


@needs_sample
async def test_a_node_of_long_ago_takes_part_by_peeps_replay(tmp_path: Path) -> None:
    with replaying(SAMPLE) as url:
        urls = [url, url.replace("/introspect", "/observer")]
        async with daemon_with(tmp_path, *urls) as daemon:
            await connections(daemon, 2)
            summary = await trio.to_thread.run_sync(lambda: daemon.jump(timeout_ms=10_000))
            assert summary["responded"] == 2
            stored = max(summary["processes"], key=lambda row: row["nodes"])
            assert stored["process"] == "go-libp2p-8de3166db28fddb1"
            kinds = dict(rows(daemon, "SELECT kind, count(*) FROM nodes GROUP BY kind"))
            assert kinds["libp2p_connection"] == 6
            assert kinds["dht_bucket"] > 0


@pytest.mark.parametrize("path", ["/introspect", "/observer", "/observer?protocol=command"])
async def test_another_peepsd_takes_part(path: str, tmp_path: Path) -> None:
    async with live_feed() as server:
        server.connect("svc", 10)
        async with daemon_with(tmp_path, f"ws://127.0.0.1:{server.port}{path}") as daemon:
            await connections(daemon, 1)
            summary = await trio.to_thread.run_sync(daemon.jump)
            assert summary["responded"] == 1
            [(label,)] = rows(daemon, "SELECT label FROM nodes WHERE kind = 'libp2p_peer'")
            assert label == "svc-10"


async def test_peers_with_odd_ids_are_stored_and_on_record(tmp_path: Path) -> None:
    odd = "nul\0 and newline\n" + "x" * 3_000
    state = a_state(1)
    state.subsystems.connections[0].peer_id = odd
    write_messages(tmp_path / "odd.mock", state, "odd")
    with replaying(tmp_path / "odd.mock") as url:
        async with daemon_with(tmp_path, url) as daemon:
            await connections(daemon, 1)
            assert (await jump(daemon))["odd"]["status"] == "responded"
    attrs = rows(daemon, "SELECT attrs_json FROM nodes WHERE kind = 'libp2p_peer'")
    assert odd in [json.loads(text)["peer_id"] for (text,) in attrs]
    events = rows(daemon, "SELECT event_kind, detail FROM ingest_events")
    assert [kind for kind, _ in events] == ["invalid_text"]
    assert "nul%00" in events[0][1]


@pytest.mark.soak
async def test_a_node_of_twenty_thousand_connections_answers_in_time(tmp_path: Path) -> None:
    write_messages(tmp_path / "big.mock", a_state(1, peers=20_000), "big")
    with replaying(tmp_path / "big.mock") as url:
        async with daemon_with(tmp_path, url) as daemon:
            await connections(daemon, 1)
            assert (await jump(daemon))["big"]["status"] == "responded"
            [(nodes,)] = rows(daemon, "SELECT count(*) FROM nodes")
            assert nodes == 1 + 3 * 20_000 + 2
