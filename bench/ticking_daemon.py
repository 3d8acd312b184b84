"""peepsd as it is, with a task that ticks every millisecond and tells the largest gap it saw.

    python bench/ticking_daemon.py DIRECTORY

Prints one JSON line when it is ready; on each line of input it prints what it measured since the
last one: largest gap of the ticker (ms), CPU seconds, peak memory (bytes) and memory before.
"""

import json
import resource
import sys
import time
from pathlib import Path

import trio

from peepsd import app, config, log

CLEAR_PEAK = Path("/proc/self/clear_refs")
STATUS = Path("/proc/self/status")


def memory(field: str) -> int:
    """Bytes, from /proc/self/status."""
    for line in STATUS.read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise LookupError(field)


def cpu_s() -> float:
    """CPU seconds of this process and of its workers that have ended."""
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


class Ticker:
    """The largest gap between two ticks."""

    def __init__(self) -> None:
        self.largest_s = 0.0

    async def run(self) -> None:
        last = time.perf_counter()
        while True:
            await trio.sleep(0.001)
            now = time.perf_counter()
            self.largest_s = max(self.largest_s, now - last)
            last = now


async def main() -> None:
    directory = Path(sys.argv[1])
    flags = {
        "db": str(directory / "peeps.sqlite"),
        "listen": "127.0.0.1:0",
        "http": "127.0.0.1:0",
        "log_level": "warning",
    }
    settings = config.load({}, flags)
    log.configure(settings.log_level)
    ticker = Ticker()
    async with app.running(settings) as daemon, trio.open_nursery() as nursery:
        nursery.start_soon(ticker.run)
        print(
            json.dumps({"listen": daemon.listen.port, "http": f"http://{daemon.http}"}), flush=True
        )
        began_cpu, resting = cpu_s(), memory("VmRSS")
        async for _ in trio.lowlevel.FdStream(0):
            measured = {
                "gap_ms": ticker.largest_s * 1e3,
                "cpu_s": cpu_s() - began_cpu,
                "peak_bytes": memory("VmHWM"),
                "resting_bytes": resting,
            }
            print(json.dumps(measured), flush=True)
            CLEAR_PEAK.write_text("5")  # start a new peak  # noqa: ASYNC240
            began_cpu, resting, ticker.largest_s = cpu_s(), memory("VmRSS"), 0.0
        nursery.cancel_scope.cancel()


trio.run(main)
