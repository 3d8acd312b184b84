"""Which collectors are loaded, and when."""

import subprocess
import sys
from pathlib import Path

from peeps.collectors import Collectors

AGENT = Path(__file__).parents[2] / "client_agent"


def test_only_what_the_host_uses_is_loaded():
    collectors = Collectors((("sys", "threads"), ("no_such_library", "trio_tasks")))
    collectors.warm_up()
    assert [collector.name for collector in collectors.applying()] == ["threads"]


def test_one_that_cannot_be_loaded_is_told_and_costs_the_others_nothing():
    collectors = Collectors((("sys", "no_such_collector"), ("sys", "threads")))
    collectors.warm_up()
    assert [collector.name for collector in collectors.applying()] == ["threads"]
    assert "no_such_collector" in collectors.failed


ROOTLESS = """
import asyncio, concurrent.futures, os, socket, subprocess, sys, threading
from peeps.collectors import Collectors
from peeps.identity import make_identity
from peeps.snapshot import Snapshot
from peeps.serialise import reply_chunks

collectors = Collectors()
collectors.warm_up()
sys.path.clear()
sys.meta_path.clear()
sys.path_importer_cache.clear()

async def main():
    task = asyncio.create_task(asyncio.Event().wait(), name="waits")
    await asyncio.sleep(0)
    snapshot = Snapshot(make_identity("host"), collectors)
    graph = snapshot.take()
    assert snapshot.problem_text() is None, snapshot.problem_text()
    assert any(row["attrs"].get("name") == "waits" for row in graph.rows())
    reply_chunks(graph, snapshot.identity, 1, max_bytes=10**7)
    task.cancel()

asyncio.run(main())
"""


def test_once_warm_nothing_needs_to_be_found_on_disk():
    """A host may change its root, its user, or its path."""
    ran = subprocess.run(
        [sys.executable, "-c", ROOTLESS],
        env={"PYTHONPATH": str(AGENT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
