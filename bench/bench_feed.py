"""What observers cost: 200 of them times 100 events a second, and one that is stuck.

    python bench/bench_feed.py [--observers 200] [--rate 100] [--seconds 5]

Part 1, in this process a feed behind the daemon's HTTP server, in another the observers: CPU of
the server while it publishes, and the largest delay from publishing to a received event, against
the same publishing with nobody listening and with one observer.

Part 2, a real peepsd with raw clients: jump-now without observers, with a good one, and with one
that subscribed to everything and never reads, alternating; ratios of medians.
"""

import argparse
import json
import multiprocessing
import os
import re
import selectors
import socket
import statistics
import struct
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import trio
from tests.support.daemon import Daemon
from tests.support.feed_server import FeedServer, live_feed, until

from peepsd.core.happenings import IngestProblem

START_EVENTS = bytes.fromhex("0a020801100b1802")
START_STATE = bytes.fromhex("0a020801100b")
STAMP = re.compile(rb'"detail":"(\d+)"')
START_TRACE = bytes.fromhex("0a020801100b1803")
EVERYTHING = [START_EVENTS, START_STATE, START_TRACE]


# Part 1


def observers(port: int, path: str, how_many: int, count: int, pipe: Any) -> None:
    """The other process: reads as cheaply as it can, then tells every delay (ms)."""
    streams = [raw_observer(port, path, [START_EVENTS]) for _ in range(how_many)]
    pipe.send("ready")
    delays: list[float] = []
    with selectors.DefaultSelector() as ready:
        for stream in streams:
            ready.register(stream, selectors.EVENT_READ, bytearray())
        while len(delays) < how_many * count:
            for key, _ in ready.select():
                key.data.extend(key.fileobj.recv(1 << 16))  # type: ignore[union-attr]
                now_ns = time.time_ns()
                end = 0
                for found in STAMP.finditer(key.data):
                    delays.append((now_ns - int(found[1])) / 1e6)
                    end = found.end()
                del key.data[:end]
    pipe.send(delays)


async def _publish(server: FeedServer, rate: int, seconds: float) -> tuple[float, float]:
    """Publish at this rate; (CPU s, longest stall of the event loop in ms)."""
    began_s, cpu_s, stall_s = trio.current_time(), time.process_time(), 0.0
    for n in range(round(rate * seconds)):
        due_s = began_s + n / rate
        await trio.sleep_until(due_s)
        stall_s = max(stall_s, trio.current_time() - due_s)
        server.publish(IngestProblem(time.time_ns(), "bench", str(time.time_ns())))
    await trio.sleep_until(began_s + seconds)
    return time.process_time() - cpu_s, stall_s * 1e3


async def fan_out(how_many: int, path: str, rate: int, seconds: float) -> dict[str, float]:
    """Numbers of one load."""
    async with live_feed() as server:
        if not how_many:
            cpu_s, stall_ms = await _publish(server, rate, seconds)
            return {"cpu": cpu_s / seconds, "stall": stall_ms, "median": 0, "largest": 0, "lost": 0}
        mine, theirs = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")
        arguments = (server.port, path, how_many, round(rate * seconds), theirs)
        child = context.Process(target=observers, args=arguments)
        child.start()
        await trio.to_thread.run_sync(mine.recv)
        await until(lambda: server.feed.statistics()["observers"] == how_many)
        await trio.sleep(0.5)  # the last of them has said START
        cpu_s, stall_ms = await _publish(server, rate, seconds)
        delays = await trio.to_thread.run_sync(mine.recv)
        child.join()
        return {
            "cpu": cpu_s / seconds,
            "stall": stall_ms,
            "median": statistics.median(delays),
            "largest": max(delays),
            "lost": server.feed.statistics()["discarded_messages"],
        }


def part_1(how_many: int, rate: int, seconds: float) -> None:
    print(f"fan-out of {rate} events/s for {seconds:g} s; load average {os.getloadavg()[0]:.1f}")
    print("| observers | path | CPU s/s | us per event and observer | delay ms, median | largest |"
          " publisher late ms | lost |")  # fmt: skip
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for count, path in [
        (0, "-"),
        (1, "/introspect"),
        (how_many, "/introspect"),
        (how_many, "/observer?protocol=signal"),
    ]:
        found = trio.run(fan_out, count, path, rate, seconds)
        each = found["cpu"] / (count * rate) * 1e6 if count else 0.0
        print(
            f"| {count} | {path} | {found['cpu']:.3f} | {each:.0f} | {found['median']:.1f}"
            f" | {found['largest']:.0f} | {found['stall']:.0f} | {found['lost']:.0f} |",
            flush=True,
        )


# Part 2


def raw_observer(port: int, path: str, signals: list[bytes], buffer: int = 0) -> socket.socket:
    """Subscribed, by hand. `buffer`: of the kernel, so that it is soon full."""
    stream = socket.socket()
    if buffer:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    stream.connect(("127.0.0.1", port))
    stream.sendall(
        b"GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        b"Sec-WebSocket-Version: 13\r\n\r\n" % (path.encode(), port)
    )
    head = b""
    while b"\r\n\r\n" not in head:
        head += stream.recv(1)
    for frame in signals:
        stream.sendall(bytes([0x82, 0x80 | len(frame), 0, 0, 0, 0]) + frame)
    return stream


def raw_process(address: tuple[str, int], number: int, graph: bytes) -> None:
    """A process that answers at once."""
    stream = socket.create_connection(address)

    def answer() -> None:
        while len(head := stream.recv(4, socket.MSG_WAITALL)) == 4:
            request = json.loads(stream.recv(struct.unpack(">I", head)[0], socket.MSG_WAITALL))
            reply = b'{"type":"graph_reply","snapshot_id":%d,"process":"p%d","pid":%d,"graph":%s}'
            payload = reply % (request["snapshot_id"], number, number, graph)
            stream.sendall(struct.pack(">I", len(payload)) + payload)

    threading.Thread(target=answer, daemon=True).start()


def a_graph(number: int, nodes: int) -> bytes:
    made = [
        {"id": f"task:{number}-{n}", "kind": "task", "label": None, "attrs_json": "{}"}
        for n in range(nodes)
    ]
    graph = {"process_name": "p", "proc_key": "p", "nodes": made, "edges": []}
    return json.dumps(graph).encode()


def part_2(processes: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as directory, Daemon(Path(directory)) as daemon:
        for number in range(1, processes + 1):
            raw_process(daemon.listen, number, a_graph(number, 50))
        while daemon.get("/api/connections").json()["count"] < processes:
            time.sleep(0.05)
        port = int(daemon.url.rpartition(":")[2])
        times: dict[str, list[float]] = {"nobody": [], "reading": [], "stuck": []}
        stuck: socket.socket | None = None
        for _ in range(3):
            daemon.jump()
        for _ in range(rounds):
            for who in times:
                stream = None
                if who != "nobody":
                    stream = raw_observer(port, "/introspect", EVERYTHING, 4096)
                if who == "reading" and stream is not None:
                    _drain(stream)
                if who == "stuck":
                    stuck = stream
                    for _ in range(3):  # fill its socket
                        daemon.jump()
                for _ in range(5):
                    began = time.perf_counter()
                    daemon.jump()
                    times[who].append((time.perf_counter() - began) * 1e3)
                if stream is not None:
                    stream.close()
        assert stuck is not None
        base = statistics.median(times["nobody"])
        print(f"\njump-now of {processes} processes x 50 nodes, {rounds * 5} each, alternating")
        print("| observer | median ms | p95 | ratio of medians |\n| --- | --- | --- | --- |")
        for who, found in times.items():
            median, p95 = statistics.median(found), statistics.quantiles(found, n=20)[-1]
            print(f"| {who} | {median:.1f} | {p95:.1f} | {median / base:.2f} |")


def _drain(stream: socket.socket) -> None:
    def read() -> None:
        try:
            while stream.recv(65536):
                pass
        except OSError:
            pass

    threading.Thread(target=read, daemon=True).start()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--observers", type=int, default=200)
    parser.add_argument("--rate", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--processes", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=6)
    chosen = parser.parse_args()
    part_1(chosen.observers, chosen.rate, chosen.seconds)
    part_2(chosen.processes, chosen.rounds)


if __name__ == "__main__":
    main()
