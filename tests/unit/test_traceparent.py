import pytest
from hypothesis import given
from hypothesis import strategies as st

from peeps.integrations.traceparent import Traceparent, new, parse

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        (f"00-{TRACE}-{SPAN}-01", "01"),
        (f" 00-{TRACE}-{SPAN}-00 ", "00"),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like", "01"),
    ],
)
def test_valid(text: str, flags: str) -> None:
    assert parse(text) == (TRACE, SPAN, flags)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "nonsense",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n00-{TRACE}-{SPAN}-01",
    ],
)
def test_invalid_counts_as_none(text: str | None) -> None:
    assert parse(text) is None


def test_new_ones_are_valid_and_differ() -> None:
    one, other = new(), new()
    assert parse(str(one)) == one != other
    assert one.with_new_span().trace_id == one.trace_id
    assert one.with_new_span().span_id != one.span_id


@given(st.text())
def test_anything_is_read_without_an_error(text: str) -> None:
    assert parse(text) is None or isinstance(parse(text), Traceparent)
