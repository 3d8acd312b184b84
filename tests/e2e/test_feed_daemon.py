"""The feed of a real daemon: what an observer sees of a snapshot."""

import json
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import trio

from peeps.wire.frames import encode_frame
from peeps.wire.messages import Hello
from peepsd.feed.client import observing
from peepsd.feed.connection import FeedUnavailable
from peepsd.feed.pb import introspection_pb2 as pb

from ..support.daemon import Daemon
from ..support.feed_server import until
from ..support.observer_client import Rejected, observer

Signal = pb.ClientSignal


def a_process(listen: tuple[str, int]) -> socket.socket:
    """A process that says hello; the caller answers for it."""
    peer = socket.create_connection(listen)
    peer.sendall(encode_frame(Hello("svc", 4242, host="box", agent="test/1").to_json()))
    return peer


def read_frame(peer: socket.socket) -> dict[str, object]:
    size = int.from_bytes(peer.recv(4, socket.MSG_WAITALL), "big")
    message: dict[str, object] = json.loads(peer.recv(size, socket.MSG_WAITALL))
    return message


async def test_an_observer_follows_a_snapshot(daemon: Daemon) -> None:
    host_port = int(daemon.url.rpartition(":")[2])
    async with observer(host_port) as client:
        runtime = (await client.next("runtime")).runtime
        assert runtime.implementation == "peeps-python"
        assert runtime.peer_id.endswith(f"-{daemon.process.pid}")
        await client.next("state")
        for source in (Signal.EVENTS, Signal.TRACE):
            await client.signal(Signal.START_PUSH_EMITTER, source)
        await client.signal(Signal.SEND_DATA, Signal.RUNTIME)
        await client.next("runtime")
        peer = await trio.to_thread.run_sync(a_process, daemon.listen)
        with peer:
            names = [(await client.message()).event.type.name for _ in range(2)]
            assert names == ["ProcessConnected", "ProcessIdentified"]
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.to_thread.run_sync, daemon.jump)
                request = await trio.to_thread.run_sync(read_frame, peer)
                assert (await client.message()).event.type.name == "SnapshotRequested"
                connection = pb.Connection()
                while not connection.streams.streams:  # it has been asked
                    await client.signal(Signal.SEND_DATA)
                    state = (await client.next("state")).state
                    [connection] = state.subsystems.connections
                assert connection.peer_id == "svc-4242"
                assert len(connection.streams.streams) == 1
                graph = {"process_name": "svc", "proc_key": "svc-4242", "nodes": [], "edges": []}
                reply = {
                    "type": "graph_reply",
                    "snapshot_id": request["snapshot_id"],
                    "process": "svc",
                    "pid": 4242,
                    "graph": graph,
                }
                peer.sendall(encode_frame(json.dumps(reply).encode()))
            messages = [await client.message() for _ in range(3)]
            names = [m.event.type.name or str(m.WhichOneof("payload")) for m in messages]
            assert names == ["ProcessReplied", "SnapshotCompleted", "trace"]
            trace = messages[2].trace
            assert trace.snapshot_id == request["snapshot_id"]
            [span] = trace.spans
            assert span.outcome == pb.Trace.RESPONDED
            assert (
                0
                < span.queued_ns
                <= span.sent_ns
                <= span.received_ns
                <= span.decoded_ns
                <= span.stored_ns
                <= trace.completed_ns
            )
            assert span.reply_bytes > 0
        event = (await client.message()).event
        assert event.type.name == "ProcessDisconnected"
        assert json.loads(event.content)["proc_key"] == "svc-4242"
    metrics = daemon.get("/metrics").text
    assert "peepsd_observers " in metrics


def metric(daemon: Daemon, name: str) -> int:
    lines = daemon.get("/metrics").text.splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"peepsd_{name} "))


def wait_for(daemon: Daemon, name: str, at_least: int) -> None:
    for _ in range(2_000):
        if metric(daemon, name) >= at_least:
            return
    raise AssertionError(f"{name} stays below {at_least}")


def stuck_observer(port: int) -> socket.socket:
    """It subscribes to events and never reads."""
    stream = socket.socket()
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stream.connect(("127.0.0.1", port))
    stream.sendall(
        b"GET /introspect HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        b"Sec-WebSocket-Version: 13\r\n\r\n" % port
    )
    while stream.recv(1) != b"\n" or stream.recv(2) != b"\r\n":
        pass
    signal = bytes.fromhex("0a020801100b1802")
    stream.sendall(bytes([0x82, 0x80 | len(signal), 0, 0, 0, 0]) + signal)
    return stream


def test_a_stuck_observer_keeps_nobody_from_anything(tmp_path: Path) -> None:
    with (
        Daemon(tmp_path) as daemon,
        stuck_observer(int(daemon.url.rpartition(":")[2])),
        a_process(daemon.listen) as peer,
    ):
        wait_for(daemon, "observers", 1)
        for _ in range(40):  # each bad frame is an event for the observer
            peer.sendall(encode_frame(b"[]") * 500)
        wait_for(daemon, "observer_queued_bytes", 1)
        assert daemon.jump(timeout_ms=100)["requested"] == 1
        assert metric(daemon, "observers") == 1
        assert daemon.stop() == 0


async def test_two_hundred_observers_at_once(daemon: Daemon) -> None:
    port = int(daemon.url.rpartition(":")[2])

    async def observe(greeted: list[int], leave: trio.Event) -> None:
        async with observer(port) as client:
            await client.next("state", 60)
            greeted[0] += 1
            await leave.wait()

    greeted, leave = [0], trio.Event()
    async with trio.open_nursery() as nursery:
        for _ in range(200):
            nursery.start_soon(observe, greeted, leave)
        await until(lambda: greeted[0] == 200, 60)
        assert await trio.to_thread.run_sync(metric, daemon, "observers") == 200
        leave.set()


async def test_a_token_is_asked_of_observers_too_and_never_repeated(tmp_path: Path) -> None:
    secret = "correct-horse-battery-staple"
    with Daemon(tmp_path, "--token", secret) as daemon:
        port = int(daemon.url.rpartition(":")[2])
        url = f"ws://127.0.0.1:{port}/introspect"
        for target in ("/introspect", "/observer", "/introspect?token=wrong"):
            with pytest.raises(Rejected) as refused:
                async with observer(port, target):
                    pass
            assert refused.value.status == 401
        async with observer(port, f"/introspect?token={secret}") as client:
            await client.next("state")
        async with observing(url, secret) as feed:
            assert (await feed.pull_state()).instant_ts > 0
        with pytest.raises(FeedUnavailable) as told:
            async with observing(f"{url}?token={secret}-wrong"):
                pass
        assert secret not in told.value.message
        (tmp_path / "other").mkdir()
        with Daemon(tmp_path / "other", "--introspect", f"{url}?token={secret}") as other:
            for _ in range(500):
                if other.get("/api/connections").json()["count"]:
                    break
            assert other.jump()["responded"] == 1
            with closing(sqlite3.connect(other.db)) as database:
                [(attrs,)] = database.execute(
                    "SELECT attrs_json FROM nodes WHERE kind = 'libp2p_node'"
                )
            assert "introspect" in attrs
            assert secret not in attrs
        assert secret not in other.log()
