"""Requests over connections that are kept, between real asyncio processes: which one is old."""

import sys
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from peepsd.asking.source import LiveSource
from peepsd.core.request_rules import OLD_REQUEST_S
from tests.support import keepers
from tests.support.daemon import Daemon
from tests.support.guests import Guest
from tests.support.peers import wait_for_connections
from tests.support.waiting import wait_until

PROGRAM = str(Path(keepers.__file__))


def start_pair(stack: ExitStack, daemon: Daemon, name: str) -> None:
    def start(*arguments: str) -> Guest:
        env = {"PEEPS_PROCESS_NAME": f"{name}-{arguments[0]}"}
        return stack.enter_context(Guest([PROGRAM, *arguments], daemon.dashboard, env=env))

    port = start("server", name).wait_for_line("port").split()[1]
    start("client", name, port).wait_for_line("asking")


def old_requests(source: LiveSource, snapshot_id: int) -> list[dict[str, Any]]:
    found = source.ask("check", snapshot_id=snapshot_id)["findings"]
    return [f for f in found if f["kind"] == "old-request"]


@pytest.mark.skipif(sys.platform != "linux", reason="Linux counts what goes over a connection")
def test_a_busy_connection_is_no_old_request_and_a_stuck_one_is(tmp_path: Path) -> None:
    """Both ends of either are where they were before, and what they wait for is the same; a
    connection over which there is no news is none either."""
    with (
        ExitStack() as stack,
        Daemon(tmp_path) as daemon,
        closing(LiveSource(daemon.url)) as source,
    ):
        start_pair(stack, daemon, "busy")
        wait_for_connections(daemon.url, 2)
        daemon.jump()
        began = time.monotonic()
        start_pair(stack, daemon, "stuck")
        start_pair(stack, daemon, "news")
        wait_for_connections(daemon.url, 6)
        wait_until(lambda: time.monotonic() > began + OLD_REQUEST_S + 2, "requests to be old")
        (finding,) = wait_until(
            lambda: old_requests(source, daemon.jump()["snapshot_id"]), "the stuck one to be told"
        )
        assert "stuck-client" in finding["sentence"]
        assert finding["evidence"][0].startswith("nothing has gone over their connection for")
