"""Many processes at once, and large ones: every row arrives, memory stays bounded."""

import json
import os
import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from ..support.daemon import Daemon
from ..support.peers import graph


async def peer(address: tuple[str, int], name: str, pid: int, pieces: list[bytes]) -> None:
    """A seed-only process that answers every request with a graph whose JSON are these pieces.
    They are sent one by one: who copies fifty megabytes for a hundred peers makes those wait
    that have begun, until they are cut."""
    stream = await trio.open_tcp_stream(*address)
    buffer = bytearray()
    async with stream:
        async for data in stream:
            buffer += data
            while len(buffer) >= 4:
                (length,) = struct.unpack_from(">I", buffer)
                if len(buffer) < 4 + length:
                    break
                request = json.loads(buffer[4 : 4 + length])
                del buffer[: 4 + length]
                head = (
                    f'{{"type":"graph_reply","snapshot_id":{request["snapshot_id"]},'
                    f'"process":"{name}","pid":{pid},"graph":'
                )
                reply = [head.encode(), *pieces, b"}"]
                await stream.send_all(struct.pack(">I", sum(map(len, reply))))
                for piece in reply:
                    await stream.send_all(piece)


async def take(
    daemon: Daemon, count: int, content: Callable[[int], list[bytes]], timeout_ms: int
) -> dict[str, Any]:
    """Connect `count` peers (content: a function of their number), take one snapshot."""
    async with (
        trio.open_nursery() as nursery,
        httpx.AsyncClient(base_url=daemon.url, timeout=600) as client,
    ):
        for n in range(count):
            nursery.start_soon(peer, daemon.listen, f"svc{n}", n + 1, content(n))
        with trio.fail_after(120):
            while (await client.get("/api/connections")).json()["count"] < count:  # noqa: ASYNC110
                await trio.sleep(0.05)
        response = await client.post("/api/jump-now", json={"timeout_ms": timeout_ms})
        nursery.cancel_scope.cancel()
    assert response.status_code == 200, response.text
    summary: dict[str, Any] = response.json()
    return summary


def peak_memory_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmHWM")


def rows(daemon: Daemon, table: str) -> int:
    with closing(sqlite3.connect(daemon.db)) as db:
        ((count,),) = db.execute(f"SELECT count(*) FROM {table}")
    return int(count)


async def test_three_hundred_processes_all_respond_and_every_row_is_stored(
    daemon: Daemon,
) -> None:
    summary = await take(
        daemon, 300, lambda n: [json.dumps(graph(f"svc{n}", 500, 500)).encode()], 60_000
    )
    assert summary["responded"] == summary["requested"] == 300
    assert rows(daemon, "nodes") == 300 * 500
    assert rows(daemon, "edges") == 300 * 500
    assert rows(daemon, "ingest_events") == 0


def padded_graph(n: int, megabytes: int) -> list[bytes]:
    """A graph of a few nodes and many bytes, most of which are the same object."""
    padding = _padding(megabytes * 1024 * 1024 // 50)
    pieces = [b'{"edges":[],"nodes":[']
    for i in range(50):
        head = f'{{"id":"task:svc{n}/{i}","kind":"task","attrs":{{"padding":"'
        pieces += [head.encode(), padding, b'"}},' if i < 49 else b'"}}]}']
    return pieces


@cache
def _padding(size: int) -> bytes:
    return b"x" * size


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs /proc")  # noqa: PTH110
async def test_more_bytes_than_the_budget_wait_their_turn(tmp_path: Path) -> None:
    with Daemon(tmp_path, "--receive-budget-bytes", str(8 << 20)) as daemon:
        before = peak_memory_bytes(daemon.process.pid)
        summary = await take(daemon, 20, lambda n: padded_graph(n, 6), 60_000)
        grown = peak_memory_bytes(daemon.process.pid) - before
        assert daemon.get("/metrics").text.count("receive_budget_used_bytes 0") == 1
    assert summary["responded"] == 20
    assert grown < 90 << 20, "120 MB were answered; they must not be held at once"


@pytest.mark.soak
async def test_a_hundred_processes_answering_fifty_megabytes_each(tmp_path: Path) -> None:
    with Daemon(tmp_path, "--retain-snapshots", "1") as daemon:
        summary = await take(daemon, 100, lambda n: padded_graph(n, 50), 60_000)
        assert summary["errors"] == 0
        assert summary["responded"] + summary["timed_out"] == 100
        assert peak_memory_bytes(daemon.process.pid) < 1500 << 20
