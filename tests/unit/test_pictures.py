"""The harness finds the chains that are there, and none that are not."""

import pytest

from tests.support.pictures import Box, Picture, Step


def picture(*edges: str) -> Picture:
    """Edges read "task:a lock:b": the first needs the second. Names are the part after ':'."""
    pairs = [edge.split() for edge in edges]
    ids = {i for pair in pairs for i in pair}
    nodes = [Box(i, i.partition(":")[0], i.partition(":")[2], "p", {}) for i in sorted(ids)]
    return Picture(nodes, [(a, b, "needs", {}) for a, b in pairs])


RING = picture("task:a lock:1", "lock:1 task:b", "task:b lock:2", "lock:2 task:a")
HOP = picture("task:a socket:1", "socket:1 socket:2", "socket:2 task:b")


@pytest.mark.parametrize(
    ("where", "chain", "closes", "found"),
    [
        (RING, [["task", "a"], ["lock"], ["task", "b"], ["lock"]], True, "a1b2"),
        (RING, [["task", "b"], ["lock"], ["task"], ["lock"]], True, "b2a1"),
        (RING, [["task", "a"], ["lock"], ["task", "b"]], True, None),
        (RING, [["task", "a"], ["lock"], ["task", "b"]], False, "a1b"),
        (RING, [["task", "a"], ["task", "b"]], False, None),
        (RING, [["task", "a"], ["queue|lock", "?"]], False, "a1"),
        (RING, [["task", "a"], ["lock", "2"]], False, None),
        (RING, [["task", "a", "q*"]], False, None),
        (HOP, [["task", "a"], ["socket+"], ["task", "b"]], False, "a12b"),
        (HOP, [["task", "a"], ["socket"], ["task", "b"]], False, None),
        (HOP, [["task", "a"], ["socket+"], ["task", "b"]], True, None),
    ],
)
def test_find(where: Picture, chain: list[Step], closes: bool, found: str | None) -> None:
    path = where.find(chain, closes)
    assert (path and "".join(str(box.label) for box in path)) == found


def test_names_are_labels_functions_and_stacks() -> None:
    box = Box(
        "task:1",
        "task",
        "Task-1",
        "web",
        {"ctx.function": "Api.serve", "stack": ["main (a.py:3)", "Api.load.<locals>.run (b.py:9)"]},
    )
    for name in ("Task-1", "Api.serve", "serve", "main", "run", "ser*"):
        assert box.fits(["task", name])
    for step in (["task", "load"], ["thread"], ["task", "*", "db"]):
        assert not box.fits(step)
