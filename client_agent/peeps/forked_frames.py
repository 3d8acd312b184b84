"""Which frames of a forked child still run, and which it merely inherited from its parent.

A child's stack begins as a copy of its parent's. The frames beneath the call of fork go on only
once everything above them has returned, which in a worker of multiprocessing never happens: an
event loop among them does not run in the child, however much it looks like it.

Decides where that boundary lies. At the fork each frame gets a mark, which lies in the frame
(`f_trace`, which Python looks at in traced threads only) and dies with it. Whatever is called
later has none, so the innermost frame with a mark is how far the child has unwound by now, and
all frames beneath it have not moved since the fork. Nothing is kept alive and nothing is compared
that could be used again. Frames of coroutines and generators get no mark: they are left and
entered again. Refuses to know loops and tasks.
"""

from collections.abc import Iterator
from types import FrameType

_RESUMED = 0x20 | 0x80 | 0x100 | 0x200
"""CO_GENERATOR, CO_COROUTINE, CO_ITERABLE_COROUTINE, CO_ASYNC_GENERATOR of the inspect module,
which is not loaded for them."""
_TURN = "_run_once"
"""asyncio's iteration: it calls the next step when the one that forked is over, so that the loop
runs on before this frame returns."""


class _Mark:
    """A local trace function that does nothing, and that a debugger takes for none."""

    def __bool__(self) -> bool:
        return False

    def __call__(self, frame: object, event: str, arg: object) -> None:
        pass


_mark = _Mark()
_is_child = False


def is_child() -> bool:
    """Whether this process was forked with the agent in it."""
    return _is_child


def mark_stack(caller: FrameType | None) -> None:
    """In a forked child: the frames from the one that called fork outwards are its parent's."""
    global _is_child
    _is_child = True
    while caller is not None:
        code = caller.f_code
        if not code.co_flags & _RESUMED and code.co_name != _TURN and caller.f_trace is None:
            caller.f_trace = _mark
        caller = caller.f_back


def running_frames(frame: FrameType | None) -> Iterator[FrameType]:
    """A stack from its innermost frame to the one down to which it has unwound since the fork."""
    while frame is not None:
        yield frame
        if _is_child and frame.f_trace is _mark:
            return
        frame = frame.f_back


def inherited_frames(frame: FrameType | None) -> Iterator[FrameType]:
    """The rest of that stack."""
    if not _is_child:
        return
    while frame is not None and frame.f_trace is not _mark:
        frame = frame.f_back
    frame = None if frame is None else frame.f_back
    while frame is not None:
        yield frame
        frame = frame.f_back
