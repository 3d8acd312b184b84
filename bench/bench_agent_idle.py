"""What the agent costs while nobody asks, and what the start-up line costs where it is not wanted.

With and without take turns in one run, so that the machine's moods fall on both alike; the
numbers to look at are ratios. Run: python bench/bench_agent_idle.py [--quick]
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support import guests
from tests.support.daemon import clean_environment
from tests.support.fake_daemon import FakeDaemon

WORK = {
    "asyncio: 300,000 task switches": """
import asyncio
async def main():
    for _ in range(300_000):
        await asyncio.sleep(0)
asyncio.run(main())
""",
    "asyncio: 30,000 tasks through a lock": """
import asyncio
async def one(lock):
    async with lock:
        await asyncio.sleep(0)
async def main():
    lock = asyncio.Lock()
    await asyncio.gather(*(one(lock) for _ in range(30_000)))
asyncio.run(main())
""",
    "threads: 200,000 locks, 4 threads": """
import threading
lock = threading.Lock()
def work():
    for _ in range(50_000):
        with lock:
            pass
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
""",
    "pure Python: 3,000,000 additions": """
total = 0
for n in range(3_000_000):
    total += n
""",
    "sleeping for 10 s": """
time.sleep(SLEEP_S)
""",
}
SETTLE = """
import asyncio, concurrent.futures, resource, socket, subprocess, time
before = resource.getrusage(resource.RUSAGE_SELF)
time.sleep(2.0)
after = resource.getrusage(resource.RUSAGE_SELF)
print(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
"""
TIMED = """
import resource, time
time.sleep(1.5)  # the agent has connected and loaded what it needs by now
before = resource.getrusage(resource.RUSAGE_SELF)
{work}
after = resource.getrusage(resource.RUSAGE_SELF)
print(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
"""
ADD_PACKAGE = """
import os, site, sys, timeit
os.environ.pop("PEEPS_DASHBOARD", None)
directory, name, known = sys.argv[1], sys.argv[2], set()
best = min(timeit.repeat(lambda: site.addpackage(directory, name, known), number=1000, repeat=20))
print(best * 1e3)
"""


def run(program: str, env: dict[str, str], version: str) -> float:
    """CPU seconds that the program says its work took."""
    command = [str(guests.guest_python(version)), "-c", program]
    said = subprocess.run(
        command, env=clean_environment() | env, capture_output=True, text=True, check=True
    )
    return float(said.stdout)


def idle(name: str, rounds: int, sleep_s: float, version: str) -> None:
    """One row: CPU with and without, alternating."""
    program = SETTLE
    if name in WORK:
        program = TIMED.format(work=WORK[name].replace("SLEEP_S", str(sleep_s)))
    with FakeDaemon() as daemon:
        pairs = []
        for n in range(rounds):
            kinds = [{}, {"PEEPS_DASHBOARD": daemon.dashboard}]
            order = kinds if n % 2 else kinds[::-1]
            taken = {bool(env): run(program, env, version) for env in order}
            pairs.append((taken[False], taken[True]))
    without = statistics.median(a for a, _ in pairs)
    with_ = statistics.median(b for _, b in pairs)
    ratios = sorted(b / a for a, b in pairs if a)
    ratio = f"{statistics.median(ratios):.3f}" if ratios and without > 0.01 else "–"
    print(f"| {name} | {without * 1e3:.1f} | {with_ * 1e3:.1f} | {ratio} |", flush=True)


def start_up(rounds: int, version: str) -> None:
    """The line itself in microseconds, and whole starts with and without it."""
    python = str(guests.guest_python(version))
    site = Path(python).parents[1] / "lib" / f"python{version}" / "site-packages"
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "empty.pth").write_text("\n")
        empty = _addpackage(python, directory, "empty.pth")
    line = _addpackage(python, str(site), "peeps-autostart.pth")
    print(f"\nThe start-up line, PEEPS_DASHBOARD unset: {line:.1f} µs (an empty .pth: {empty:.1f})")
    path, hidden = site / "peeps-autostart.pth", site / "peeps-autostart.off"
    with_, without = [], []
    for _ in range(rounds):
        with_.append(_start(python))
        path.rename(hidden)
        without.append(_start(python))
        hidden.rename(path)
    a, b = statistics.median(without), statistics.median(with_)
    print(
        f"A whole start of Python: {a:.2f} ms without the line, {b:.2f} ms with it "
        f"(ratio {b / a:.3f}, median of {rounds})"
    )


def _addpackage(python: str, directory: str, name: str) -> float:
    said = subprocess.run(
        [python, "-c", ADD_PACKAGE, directory, name],
        env=clean_environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    return float(said.stdout)


def _start(python: str) -> float:
    started = time.perf_counter()
    subprocess.run([python, "-c", "pass"], env=clean_environment(), check=True)
    return (time.perf_counter() - started) * 1e3


def main() -> None:
    """Print the tables of docs/performance.md."""
    quick = "--quick" in sys.argv
    version = next((a for a in sys.argv[1:] if a in guests.VERSIONS), guests.OWN)
    print(f"Python {version}; CPU milliseconds, medians; with the agent connected and not asked\n")
    print("| work | without | with | ratio (median of pairs) |\n| --- | --: | --: | --: |")
    for name in [*WORK, "connecting and loading, once"]:
        idle(name, 3 if quick else 11, 1.0 if quick else 10.0, version)
    start_up(20 if quick else 200, version)


if __name__ == "__main__":
    main()
