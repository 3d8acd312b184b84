"""What a snapshot costs its host: the pause that event loop and threads feel, CPU time, and how
soon the answer is there; also beside a saturated loop.

Everything is measured from outside with real processes. Pauses are what two heartbeats of one
millisecond (a task and a thread in the host) were late by, in a stretch with snapshots and in one
without, in the same run of the same process. Run: python bench/bench_agent.py [--quick] [3.12]
[part of a host's name, or saturated]
"""

import json
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support import guests
from tests.support.fake_daemon import Connection, FakeDaemon
from tests.support.guests import Guest

HOST = str(Path(__file__).with_name("agent_host.py"))
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Measured:
    """One host, several snapshots."""

    nodes: int
    megabytes: float
    loop_ms: float
    """Median over snapshots of the longest pause that the loop felt."""
    thread_ms: float
    quiet_ms: float
    """The longest pause in the same time without a snapshot."""
    cut_ms: float
    cpu_ms: float
    answer_ms: float
    cut: str


def cpu_s(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def snapshot(daemon: FakeDaemon, connection: Connection) -> tuple[float, dict[str, Any], int]:
    """Milliseconds until the answer, the answer, and its size."""
    started = time.perf_counter()
    number = daemon.request([connection], 60_000)
    daemon.wait_for_replies([connection], number, 60.0)
    elapsed = (time.perf_counter() - started) * 1e3
    return elapsed, connection.replies.pop(number), len(connection.raw.pop(number))


def measure(arguments: list[str], rounds: int, version: str) -> Measured:
    """Start a host, take `rounds` snapshots with as long a silence before each."""
    windows: list[tuple[int, int, int]] = []  # silence from, snapshot from, until
    answers, cuts, costs = [], [], []
    with FakeDaemon() as daemon, tempfile.TemporaryDirectory() as directory:
        guest = Guest([HOST, *arguments], daemon.dashboard, version, cwd=Path(directory))
        with guest:
            guest.wait_for_line("ready", 300.0)
            (connection,) = daemon.wait_for(1)
            time.sleep(1.0)
            snapshot(daemon, connection)  # the first one loads collectors
            for _ in range(rounds):
                silence = time.time_ns()
                time.sleep(max(0.3, (answers[-1] if answers else 0.0) / 1e3))
                before, began = cpu_s(guest.pid), time.time_ns()
                elapsed, reply, size = snapshot(daemon, connection)
                time.sleep(0.02)
                windows.append((silence, began, time.time_ns()))
                answers.append(elapsed)
                costs.append((cpu_s(guest.pid) - before) * 1e3)
                cuts.append(reply["capture_ns"] / 1e6)
            Path(directory, "stop").touch()
            late = json.loads(guest.wait_for_line("{", 60.0))
    graph = reply["graph"]
    kinds = [_attributes(n).get("cut") for n in graph["nodes"]]
    return Measured(
        nodes=len(graph["nodes"]),
        megabytes=size / 1e6,
        loop_ms=statistics.median(_worst(late["loop"], b, c) for _, b, c in windows),
        thread_ms=statistics.median(_worst(late["thread"], b, c) for _, b, c in windows),
        quiet_ms=statistics.median(_worst(late["loop"], a, b) for a, b, _ in windows),
        cut_ms=statistics.median(cuts),
        cpu_ms=statistics.median(costs),
        answer_ms=statistics.median(answers),
        cut=next((str(k) for k in kinds if k), "?"),
    )


def _attributes(row: dict[str, Any]) -> dict[str, Any]:
    return row.get("attrs") or json.loads(row.get("attrs_json", "{}"))


def _worst(late: list[list[int]], begin: int, until: int) -> float:
    return max((gap for at, gap in late if begin <= at <= until), default=0) / 1e3


def saturated(spin_s: float, rounds: int, version: str) -> tuple[float, float]:
    """Median and worst milliseconds to an answer beside a loop that is never idle."""
    with FakeDaemon() as daemon, tempfile.TemporaryDirectory() as directory:
        arguments = [HOST, "tasks", "1000", "beats", str(spin_s)]
        with Guest(arguments, daemon.dashboard, version, cwd=Path(directory)) as guest:
            guest.wait_for_line("ready")
            (connection,) = daemon.wait_for(1)
            answers = [snapshot(daemon, connection)[0] for _ in range(rounds)]
    return statistics.median(answers), max(answers)


HEAD = (
    "| host | nodes | MB | loop paused | threads paused | unasked | cut | CPU | answer | kind |\n"
    "| --- | --: | --: | --: | --: | --: | --: | --: | --: | --- |"
)


def main() -> None:
    """Print the tables of docs/performance.md."""
    quick = "--quick" in sys.argv
    version = next((a for a in sys.argv[1:] if a in guests.VERSIONS), guests.OWN)
    only = next((a for a in sys.argv[1:] if not a.startswith("-") and a != version), "")
    hosts = [
        ("1,000 asyncio tasks", ["tasks", "1000", "beats"], 20),
        ("10,000 asyncio tasks", ["tasks", "10000", "beats"], 10),
        ("100,000 asyncio tasks", ["tasks", "100000", "beats"], 3),
        ("1,000 trio tasks", ["trio", "1000", "beats"], 20),
        ("10,000 trio tasks", ["trio", "10000", "beats"], 10),
        ("100 threads at a lock", ["threads", "100", "beats"], 20),
        ("1,000 sockets", ["sockets", "1000", "beats"], 10),
    ]
    print(f"Python {version}; milliseconds, medians over snapshots\n\n{HEAD}")
    for name, arguments, rounds in hosts:
        if only not in name:
            continue
        m = measure(arguments, 3 if quick else rounds, version)
        print(
            f"| {name} | {m.nodes:,} | {m.megabytes:.1f} | {m.loop_ms:.1f} | {m.thread_ms:.1f} "
            f"| {m.quiet_ms:.1f} | {m.cut_ms:.1f} | {m.cpu_ms:.0f} | {m.answer_ms:.0f} | {m.cut} |",
            flush=True,
        )
    print("\n| saturated loop, one step takes | answer, median | worst |\n| --- | --: | --: |")
    for spin_s in (0.0002, 0.001, 0.004, 0.02) if only in "saturated" else ():
        median, worst = saturated(spin_s, 3 if quick else 20, version)
        print(f"| {spin_s * 1e3:g} ms | {median:.0f} | {worst:.0f} |", flush=True)


if __name__ == "__main__":
    main()
