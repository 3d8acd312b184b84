"""Reading frames in memory: proved before it is used, refused when anything is unusual."""

import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from peeps.collectors import value_stack
from peeps.collectors.expressions import Unknown
from peeps.collectors.value_stack import Layout, Moved, PinnedFrame, Reader, make_reader

lock = threading.Lock()


@pytest.fixture(scope="module")
def reader() -> Reader:
    if sys.version_info[:2] not in value_stack._LAYOUTS:
        pytest.skip("not a verified version")
    return make_reader()


def suspended(argument: Any) -> Iterator[None]:
    unset: int
    inner = (argument,)
    with lock:
        yield
    unset = 1
    yield
    str(unset), (lambda: inner)()


def test_variables_and_entered_locks_of_a_frame(reader: Reader) -> None:
    marker = object()
    generator: Any = suspended(marker)
    next(generator)
    frame = PinnedFrame(reader, generator.gi_frame, generator.gi_frame.f_lasti)
    assert frame.variable("argument") is marker
    assert frame.variable("inner") == (marker,)  # shared with a function, hence in a cell
    with pytest.raises(KeyError):
        frame.variable("unset")
    with pytest.raises(KeyError):
        frame.variable("no such variable")
    (entered,) = frame.analysis.active(frame.code, frame.lasti).withs
    bound_exit: Any = frame.stack_object(entered.depth - 1)
    assert bound_exit.__self__ is lock
    kind = type(bound_exit)
    assert frame.operand(entered.depth - 1, {id(kind): kind}) is bound_exit
    with pytest.raises(Unknown):
        frame.operand(entered.depth - 1, {id(int): int})
    assert reader.is_mapped(id(lock))
    assert not reader.is_mapped(4096)
    for position in (-1, 10_000):
        with pytest.raises(Unknown):
            frame.stack_object(position)
    next(generator)
    for read in (lambda: frame.variable("argument"), lambda: frame.stack_word(0)):
        with pytest.raises(Moved):
            read()


def test_a_frame_that_has_returned_is_refused(reader: Reader) -> None:
    generator: Any = suspended(1)
    next(generator)
    frame = generator.gi_frame
    pinned = PinnedFrame(reader, frame, frame.f_lasti)
    generator.close()
    with pytest.raises(Moved):
        pinned.variable("argument")
    with pytest.raises(Moved):
        PinnedFrame(reader, frame, frame.f_lasti)


def test_a_frame_that_an_exception_has_ended_is_refused(reader: Reader) -> None:
    """It stands at the same instruction as before, but its memory is no longer its own."""
    kept: list[PinnedFrame] = []

    class Raises:
        def __eq__(self, other: object) -> bool:
            frame = sys._getframe(1)
            kept.append(PinnedFrame(reader, frame, frame.f_lasti))
            raise ArithmeticError

        __hash__ = None  # type: ignore[assignment]

    def fails(things: list[object]) -> None:
        things.index(Raises())

    with pytest.raises(ArithmeticError):
        fails([object()])
    (frame,) = kept
    with pytest.raises(Moved):
        frame.variable("things")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("implementation", type("I", (), {"name": "pypy"})), "pypy"),
        (("version_info", (3, 99, 0)), "3.99"),
        (("abiflags", "t"), "free-threaded"),
        (("abiflags", "d"), "debug"),
        (("gettotalrefcount", lambda: 0), "debug"),
    ],
)
def test_refused_interpreters(
    change: tuple[str, Any], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(value_stack.sys, change[0], change[1], raising=False)
    refusal = value_stack.why_unreadable()
    assert refusal is not None
    assert reason in refusal


def test_a_wrong_layout_fails_the_proof_without_a_crash(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = reader.layout
    for wrong in (
        right._replace(slots=right.slots + 8),
        right._replace(code=right.code + 8),
        Layout(1 << 40, 1 << 40, 1 << 40, 1 << 40),
    ):
        monkeypatch.setitem(value_stack._LAYOUTS, sys.version_info[:2], wrong)
        with pytest.raises(Unknown, match="self-test"):
            make_reader()
