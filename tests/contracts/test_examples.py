"""Every program under examples/ says what is expected of it, and has its counterpart."""

import pytest

from peepsd.core import roots
from tests.support import examples
from tests.support.examples import Example

STUCK, HEALTHY = examples.stuck(), examples.healthy()


def named(example: Example) -> str:
    return f"{example.path.parent.name}/{example.name}"


def test_there_are_as_many_healthy_as_stuck_ones() -> None:
    assert [e.name for e in STUCK] == [e.name for e in HEALTHY]
    assert len(STUCK) >= 25


@pytest.mark.parametrize("example", STUCK, ids=named)
def test_expectation_of_a_stuck_program(example: Example) -> None:
    assert example.root in roots.ROOT_KINDS
    assert example.deadlock == (example.root == "cycle")
    assert example.chains
    for chain in example.chains:
        assert all(1 <= len(step) <= 3 and all(map(str, step)) for step in chain)


@pytest.mark.parametrize("example", [*STUCK, *HEALTHY], ids=named)
def test_program_is_small_and_says_when_it_is_there(example: Example) -> None:
    text = example.path.read_text()
    word = "stuck" if example in STUCK else "running"
    assert f'print("{word}", flush=True)' in text
    assert text.startswith('"""')
    assert len(text.splitlines()) <= 85
