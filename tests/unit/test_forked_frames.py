"""Where a forked child's own frames end, as its stack unwinds and grows again."""

import sys
import weakref
from collections.abc import Iterator
from types import FrameType

import pytest

from peeps import forked_frames


@pytest.fixture(autouse=True)
def child(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if this process had been forked; no mark outlives a test's own frames."""
    monkeypatch.setattr(forked_frames, "_is_child", False)
    yield
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_trace is forked_frames._mark:
            frame.f_trace = None
        frame = frame.f_back


def running() -> list[str]:
    """Names of the frames that run, innermost first, from the caller on."""
    frames = forked_frames.running_frames(sys._getframe().f_back)
    return [frame.f_code.co_name for frame in frames]


def inherited() -> list[str]:
    frames = forked_frames.inherited_frames(sys._getframe().f_back)
    return [frame.f_code.co_name for frame in frames][:2]


def fork() -> None:
    forked_frames.mark_stack(sys._getframe().f_back)


def test_without_a_fork_all_frames_run() -> None:
    def inner() -> tuple[list[str], list[str]]:
        return running()[:2], inherited()

    assert inner() == (["inner", sys._getframe().f_code.co_name], [])
    assert not forked_frames.is_child()


def test_what_is_called_after_the_fork_runs_and_what_lies_beneath_does_not() -> None:
    def work() -> tuple[list[str], list[str]]:
        return running(), inherited()

    def launch() -> tuple[list[str], list[str]]:
        fork()
        return work()

    def start() -> tuple[list[str], list[str]]:
        return launch()

    assert start() == (
        ["work", "launch"],
        ["start", sys._getframe().f_code.co_name],
    )
    assert forked_frames.is_child()


def test_who_is_returned_to_runs_again() -> None:
    def launch() -> None:
        fork()

    def work() -> list[str]:
        return running()

    def start() -> list[str]:
        launch()
        return work()

    assert start() == ["work", "start"]
    assert running() == [sys._getframe().f_code.co_name]
    assert work() == ["work", sys._getframe().f_code.co_name]


def test_a_fork_in_a_forked_child() -> None:
    def launch_again() -> list[str]:
        fork()
        return running()

    def launch() -> list[list[str]]:
        fork()
        return [launch_again(), running()]

    assert launch() == [["launch_again"], ["launch"]]


def test_a_coroutine_that_is_left_and_entered_again_tells_nothing() -> None:
    """Its frame lives on, and whoever steps it next is another."""

    class Pause:
        def __await__(self) -> Iterator[None]:
            yield

    seen = []

    async def work() -> None:
        fork()
        seen.append(running())
        await Pause()
        seen.append(running())

    coroutine = work()

    def step() -> None:
        coroutine.send(None)

    def last_step() -> None:
        with pytest.raises(StopIteration):
            coroutine.send(None)

    step()
    last_step()
    here = sys._getframe().f_code.co_name
    assert seen == [["work", "step"], ["work", "last_step", here]]


def test_a_loop_runs_on_as_soon_as_the_step_is_over() -> None:
    seen = []

    def step() -> None:
        fork()
        seen.append(running())

    def next_step() -> None:
        seen.append(running())

    def _run_once() -> None:
        step()
        next_step()

    def run_forever() -> None:
        _run_once()

    run_forever()
    assert seen == [["step"], ["next_step", "_run_once", "run_forever"]]


def test_nothing_is_kept_alive() -> None:
    class Thing:
        pass

    def launch() -> "weakref.ref[Thing]":
        thing = Thing()
        fork()
        return weakref.ref(thing)

    assert launch()() is None


def test_a_debuggers_frames_are_left_alone_and_a_tracer_may_take_a_mark_for_none() -> None:
    def debugger(frame: FrameType, event: str, arg: object) -> None:
        pass

    def launch() -> None:
        frame = sys._getframe()
        frame.f_trace = debugger
        fork()
        assert frame.f_trace is debugger
        frame.f_trace = None

    launch()
    fork()
    mark = sys._getframe().f_trace
    assert mark is forked_frames._mark
    assert not mark
    assert mark(sys._getframe(), "line", None) is None  # type: ignore[func-returns-value]
