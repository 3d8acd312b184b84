"""The agent and the real daemon together: what an example waits for is in the database."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support import examples, guests
from tests.support.daemon import Daemon
from tests.support.guests import OWN, Guest
from tests.support.pictures import Picture

DEADLINE_S = 60.0
CHOSEN = (
    "asyncio_lock_order",
    "asyncio_own_loop_result",
    "processes_server_stuck_on_lock",
    "processes_three_tcp",
    "processes_two_http",
    "thread_lock_order",
    "trio_limiter_nested",
)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("peepsd")) as daemon:
        yield daemon


@pytest.mark.parametrize("name", CHOSEN)
def test_chain_is_in_the_database(name: str, daemon: Daemon) -> None:
    example = examples.read_example(Path(examples.EXAMPLES, "stuck", f"{name}.py"))
    for library in example.dependencies:
        if not guests.can_import(OWN, library):
            pytest.skip(f"{library} cannot be imported")
    with Guest(["-W", "error", str(example.path)], daemon.dashboard) as guest:
        guest.wait_for_line("stuck")
        end = time.monotonic() + DEADLINE_S
        while True:
            response = daemon.post("/api/jump-now")  # 503 until somebody has connected
            if response.status_code == 200:
                summary = response.json()
                assert summary["errors"] == 0, summary
                picture = Picture.of_database(daemon.db, summary["snapshot_id"])
                closes = example.root == "cycle"
                missing = [c for c in example.chains if not picture.find(c, closes)]
                if not missing:
                    break
                assert time.monotonic() < end, f"{missing}\n{picture}\n{guest.describe()}"
            assert time.monotonic() < end, f"{response.text}\n{guest.describe()}"
            time.sleep(0.1)
    assert unused(daemon) == []


def unused(daemon: Daemon) -> list[object]:
    """What the daemon received and could not use."""
    with closing(sqlite3.connect(f"file:{daemon.db}?mode=ro", uri=True)) as db:
        return db.execute(
            "select event_kind, detail from ingest_events where event_kind not in ('late_reply')"
        ).fetchall()
