"""What is said about every program under examples/, through a real daemon.

`peeps why` must name the root that the program's author expects, `peeps deadlocks` exactly the
deadlocks that are there, and `peeps check` nothing about those that are well. Each program is
alone with its daemon while it is asked about, as with somebody who tries it at their desk.
"""

import queue
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from peepsd.asking.source import CONFIRM_AFTER_S, LiveSource
from tests.support import examples
from tests.support.daemon import Daemon
from tests.support.examples import Example
from tests.support.guests import OWN, Guest, can_import
from tests.support.waiting import wait_until

TIMEOUT_MS = 30_000
SETTLE_S = 0.3
"""So long nobody may have connected: a program may consist of several processes."""


AT_ONCE = 4
"""So many examples run at the same time, each with a daemon of its own: they mostly wait."""

Answers = dict[str, Any]


class Desks:
    """Runs examples ahead of their tests, at a few desks, and keeps what was answered about each.

    A test that asks a second time is being repeated: its example is run once more.
    """

    def __init__(self, directory: Path, stack: ExitStack, wanted: set[tuple[str, str]]) -> None:
        self._free: queue.SimpleQueue[Daemon] = queue.SimpleQueue()
        for n in range(AT_ONCE):
            (directory / str(n)).mkdir()
            self._free.put(stack.enter_context(Daemon(directory / str(n))))
        self._pool = stack.enter_context(ThreadPoolExecutor(AT_ONCE))
        stack.callback(self._pool.shutdown, cancel_futures=True)
        self._asked: set[str] = set()
        self._answers = {
            (line, example.name): self._pool.submit(self._try, example, line)
            for line, found in (("stuck", examples.stuck()), ("running", examples.healthy()))
            for example in found
            if (line, example.name) in wanted
        }

    def _try(self, example: Example, line: str) -> Answers:
        daemon = self._free.get()
        try:
            return two_looks(daemon, example, line)
        finally:
            self._free.put(daemon)

    def answers(self, example: Example, line: str, test: pytest.FixtureRequest) -> Answers:
        """What was answered about an example; skips the test if it cannot run here."""
        skip_without_libraries(example)
        if test.node.nodeid in self._asked:
            self._answers[line, example.name] = self._pool.submit(self._try, example, line)
        self._asked.add(test.node.nodeid)
        return self._answers[line, example.name].result()


@pytest.fixture(scope="module")
def desks(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Desks]:
    ours = [test for test in request.session.items if test.path == request.path]
    wanted = {run for test in ours if isinstance(test, pytest.Function) for run in runs_for(test)}
    with ExitStack() as stack:
        yield Desks(tmp_path_factory.mktemp("examples"), stack, wanted)


def runs_for(test: pytest.Function) -> list[tuple[str, str]]:
    """Which run of which example a test of this file asks about: (line, name)."""
    given = test.callspec.params
    if "example" not in given:
        return [("stuck", given["name"])]
    example = given["example"]
    return [("running" if example.path.parent.name == "healthy" else "stuck", example.name)]


def missing_libraries(example: Example) -> list[str]:
    return [m for m in example.dependencies if not can_import(OWN, m.partition("[")[0])]


def skip_without_libraries(example: Example) -> None:
    if missing := missing_libraries(example):
        pytest.skip(f"needs {', '.join(missing)}")


def wait_until_settled(source: LiveSource) -> None:
    """Until everybody is connected, and is where the program says that it is stuck."""
    wait_until(lambda: source.connections()["count"], "a connection")
    while True:
        before = source.connections()["count"]
        time.sleep(SETTLE_S)
        if source.connections()["count"] == before:
            return


def two_looks(daemon: Daemon, example: Example, line: str) -> Answers:
    """All answers about a running example, each confirmed by a second snapshot."""
    if missing_libraries(example):
        return {}
    with closing(LiveSource(daemon.url)) as source:
        with Guest([str(example.path)], daemon.dashboard) as guest:
            guest.wait_for_line(line)
            wait_until_settled(source)
            first = source.jump(TIMEOUT_MS)
            time.sleep(CONFIRM_AFTER_S)
            both = {"snapshot_id": first["snapshot_id"]}
            both["confirm_with"] = source.jump(TIMEOUT_MS)["snapshot_id"]
            found = {name: source.ask(name, **both) for name in ("why", "deadlocks", "check")}
        wait_until(lambda: not source.connections()["count"], "nobody to be connected")
    return found


def of(found: list[Example]) -> Any:
    return pytest.mark.parametrize("example", found, ids=lambda e: e.name)


@of(examples.stuck())
def test_what_is_stuck_is_explained(
    example: Example, desks: Desks, request: pytest.FixtureRequest
) -> None:
    found = desks.answers(example, "stuck", request)
    why = found["why"]
    assert why["root"]["kind"] == example.root, why["sentence"]
    assert bool(found["deadlocks"]["deadlocks"]) == example.deadlock
    if example.deadlock:
        assert why["deadlock"]["status"] == "confirmed"


@of(examples.healthy())
def test_what_is_well_is_left_alone(
    example: Example, desks: Desks, request: pytest.FixtureRequest
) -> None:
    found = desks.answers(example, "running", request)
    assert found["deadlocks"]["deadlocks"] == []
    grave = [f for f in found["check"]["findings"] if f["severity"] != "info"]
    assert grave == []
    assert found["check"]["ok"]


SHOWN = (
    ("blocked-loop", "asyncio_blocking_sleep"),
    ("unwoken-loop", "asyncio_loop_never_woken"),
    ("exhausted-pool", "asyncio_semaphore_exhausted"),
    ("full-queue", "asyncio_queue_nobody_reads"),
    ("unserved", "thread_condition_never_notified"),
    ("unserved", "asyncio_event_never_set"),
    ("unserved", "asyncio_datagrams"),
    ("unserved", "asyncio_reader_removed"),
    ("open-scope", "trio_nursery_cannot_close"),
    ("shielded-task", "trio_shielded_cleanup"),
)


@pytest.mark.parametrize(("kind", "name"), SHOWN, ids=[f"{kind}-{name}" for kind, name in SHOWN])
def test_findings_are_found(
    kind: str, name: str, desks: Desks, request: pytest.FixtureRequest
) -> None:
    example = examples.read_example(examples.EXAMPLES / "stuck" / f"{name}.py")
    check = desks.answers(example, "stuck", request)["check"]
    found = next(f for f in check["findings"] if f["kind"] == kind)
    assert found["confirmed"]
    assert found["evidence"]
    assert found["query"] in check["sql"]
