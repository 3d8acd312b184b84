import pytest

from peepsd.feed.generation import Generation
from peepsd.feed.session import RateLimit, generation_asked_for


def test_a_burst_is_allowed_and_then_the_rate() -> None:
    rate = RateLimit(per_s=8, burst=5)
    assert [rate.allows(100.0) for _ in range(6)] == [True] * 5 + [False]
    assert [rate.allows(100.125) for _ in range(2)] == [True, False]
    assert [rate.allows(200.0) for _ in range(6)] == [True] * 5 + [False]


@pytest.mark.parametrize(
    ("protocol", "generation"),
    [(None, None), ("signal", Generation.SIGNAL), ("command", Generation.COMMAND)],
)
def test_protocol_parameter(protocol: str | None, generation: Generation | None) -> None:
    assert generation_asked_for(protocol) is generation


@pytest.mark.parametrize("protocol", ["", "SIGNAL", "v2"])
def test_an_unknown_protocol(protocol: str) -> None:
    with pytest.raises(ValueError, match="is not a valid Generation"):
        generation_asked_for(protocol)
