"""What the agent says about every program under examples/, each a real process.

A stuck program: each chain that it expects is found, with the root it names. A healthy one, many
snapshots in a row: no deadlock, no blocked loop, and no wrong `needs` edge. Wrong is an edge that
the program forbids, one that starts or ends at nothing, and a holder of something that is free
or that cannot have so many.
"""

import time
from collections.abc import Iterator

import pytest

from peepsd.core import nodes, roots
from tests.support import examples, guests
from tests.support.examples import Example
from tests.support.fake_daemon import FakeDaemon
from tests.support.guests import OWN, VERSIONS, Guest
from tests.support.pictures import Box, Picture

DEADLINE_S = 30.0
HEALTHY_SNAPSHOTS = 5

ON_OTHER_VERSIONS = {
    "asyncio_lock_order",
    "asyncio_own_loop_result",
    "asyncio_thread_and_task",
    "processes_three_tcp",
    "thread_lock_order",
    "thread_pool_waits_for_itself",
    "trio_limiter_nested",
    "trio_lock_order",
    "trio_thread_and_task",
}
"""The rest runs there among the soaks."""


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    with FakeDaemon() as daemon:
        yield daemon


def cases(programs: list[Example]) -> list[object]:
    """Every program on every version."""
    return [
        pytest.param(
            example,
            version,
            id=f"{example.name}-{version}",
            marks=() if version == OWN or example.name in ON_OTHER_VERSIONS else pytest.mark.soak,
        )
        for example in programs
        for version in VERSIONS
    ]


def start(example: Example, version: str, daemon: FakeDaemon) -> Guest:
    """Run it with the agent; skips if this machine lacks something it needs."""
    if guests.guest_python(version) is None:
        pytest.skip(f"no Python {version} on this machine")
    for library in example.dependencies:
        if not guests.can_import(version, library):
            pytest.skip(f"{library} cannot be imported by Python {version}")
    return Guest([str(example.path)], daemon.dashboard, version)


@pytest.mark.parametrize(("example", "version"), cases(examples.stuck()))
def test_chain_of_a_stuck_program_is_found(
    example: Example, version: str, daemon: FakeDaemon
) -> None:
    with start(example, version, daemon) as guest:
        guest.wait_for_line("stuck")
        end = time.monotonic() + DEADLINE_S
        while missing := complaints(example, picture := snapshot(daemon)):
            assert time.monotonic() < end, "\n\n".join([*missing, str(picture), guest.describe()])
            time.sleep(0.1)
        assert wrong_edges(picture) == [], str(picture)
        assert "peeps" not in guest.errors


@pytest.mark.parametrize(("example", "version"), cases(examples.healthy()))
def test_healthy_program_is_not_accused(example: Example, version: str, daemon: FakeDaemon) -> None:
    with start(example, version, daemon) as guest:
        guest.wait_for_line("running")
        daemon.wait_for(1)
        for _ in range(HEALTHY_SNAPSHOTS):
            picture = snapshot(daemon)
            assert picture.nodes, guest.describe()
            said = accusations(example, picture)
            assert not said, "\n".join([*said, str(picture), guest.describe()])
        assert guest.process.poll() is None, guest.describe()
        assert guest.errors == ""


def snapshot(daemon: FakeDaemon) -> Picture:
    """What all processes that are connected by now say."""
    daemon.wait_for(1)
    return Picture.of_replies(daemon.snapshot())


def complaints(example: Example, picture: Picture) -> list[str]:
    """What the picture lacks of the example's expectation."""
    closes = example.root in ("cycle", "timeout")
    found = [(chain, picture.find(chain, closes)) for chain in example.chains]
    missing = [f"not found: {chain}" for chain, path in found if path is None]
    for _, path in found:
        root = None if path is None else root_of_circle(path) if closes else root_of(picture, path)
        if path and root != example.root:
            way = "\n  ".join(map(str, path))
            missing.append(f"root is {root} instead of {example.root}:\n  {way}")
    missing += [f"not found: {chain}" for chain in example.also if not picture.find(chain)]
    return missing


def root_of_circle(path: list[Box]) -> str:
    """What holds a closed chain: nothing but itself, or a time limit that ends it."""
    return "timeout" if any("timeout_s" in box.attrs for box in path) else "cycle"


def root_of(picture: Picture, path: list[Box]) -> str:
    """The kind of root that a chain ends at; "" if it goes on."""
    if any(box.kind == "event_loop" and box.attrs.get("cut") == "blocked" for box in path):
        return "blocked_loop"  # whatever the step that blocks it waits for itself
    box = path[-1]
    if any(target in picture.nodes for target in picture.needs.get(box.id, ())):
        return "" if box.kind != "socket" else "external"
    taking_part = {n.attrs.get("pid") for n in picture.nodes.values() if n.kind == "process"}
    if box.kind == "command" and box.attrs.get("child_pid") in taking_part:
        return "unknown"  # it says itself what it does; the wait for its end goes no further
    node = nodes.Node(box.id, box.kind, box.process, box.process, box.label, box.attrs)
    return roots.classify(node).kind


def accusations(example: Example, picture: Picture) -> list[str]:
    """What a picture of a healthy program must not say."""
    said = wrong_edges(picture)
    for src, dst in example.forbidden:
        said += [f"forbidden: {a} needs {b}" for a, b in picture.edges_between(src, dst)]
    said += [f"blocked: {box}" for box in picture.nodes.values() if box.state == "blocked"]
    return said


def wrong_edges(picture: Picture) -> list[str]:
    """Edges that contradict the graph itself."""
    said = []
    for src, dst, kind in picture.dangling():
        if not (src.startswith("socket:") or dst.startswith("socket:")):  # a peer elsewhere
            said.append(f"dangling: {src} {kind} {dst}")
    for box in picture.nodes.values():
        holders = [i for i in picture.needs.get(box.id, ()) if i in picture.nodes]
        if holders and box.kind == "lock" and box.attrs.get("locked") is False:
            said.append(f"free, yet held: {box}")
        if box.kind == "lock" and len(holders) > 1:
            said.append(f"held by {len(holders)}: {box}")
        if (
            box.kind == "task"
            and box.state == "running"
            and any(picture.nodes[i].kind not in ("thread", "event_loop") for i in holders)
        ):
            said.append(f"running, yet waiting: {box}")
    return said
