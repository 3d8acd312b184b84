"""Where a suspended coroutine stands, read in place and without leaving anything behind.

Decides whether this interpreter's coroutines may be read in memory (as for frames: see
value_stack), proved by a self-test. Refuses to know what the places mean.

Why not `cr_frame.f_lasti`: asking for `cr_frame` makes a frame object of about 190 bytes that the
coroutine keeps until it ends, which is 76 MB in a host of 100,000 tasks of four frames, for ever.
The pointer to the instruction lies inside the coroutine itself, at a fixed offset: whoever has a
reference to the coroutine may read it. It tells code and offset at once, as long as the code
object lives.
"""

import contextlib
import sys
import types
from collections.abc import Generator
from typing import Any, NamedTuple

from .expressions import Unknown
from .value_stack import why_unreadable

_WORD = 8
_POINTERS = {(3, 11): 17, (3, 12): 16, (3, 13): 16}
"""Words from the beginning of a coroutine to its frame's instruction pointer."""


class Pointers(NamedTuple):
    """How to read instruction pointers: `words[(id(coroutine) >> 3) + at]`."""

    words: "memoryview[int]"
    """All memory, in words. Indexing it is several times as fast as asking ctypes."""
    at: int
    start: int
    """Bytes from the beginning of a code object to its first instruction."""

    def lasti(self, pointer: int, code: types.CodeType) -> int:
        """The offset of an instruction in its code. Raises Unknown if it lies elsewhere."""
        offset = pointer - id(code) - self.start
        if not -2 <= offset < len(code.co_code):
            raise Unknown("the coroutine has moved on")
        return offset


_pointers: Pointers | None = None
_is_tried = False


def known_pointers() -> Pointers | None:
    """The reader for this interpreter, None where there is none. Made once, outside of any cut."""
    global _pointers, _is_tried
    if not _is_tried:
        _is_tried = True
        with contextlib.suppress(Exception):
            _pointers = make_pointers()
    return _pointers


def make_pointers() -> Pointers:
    """A reader for this interpreter. Raises Unknown, with the reason, where there is none."""
    reason = why_unreadable()
    if reason is not None:
        raise Unknown(reason)
    import ctypes

    memory = (ctypes.c_char * (sys.maxsize - _WORD + 1)).from_address(0)
    words = memoryview(memory).cast("B").cast("Q")
    at = _POINTERS[sys.version_info[:2]]
    return Pointers(words, at, _prove(words, at))


@types.coroutine
def _pause() -> Generator[None]:
    yield


async def _short() -> None:
    await _pause()


async def _long(first: object, second: object) -> None:
    if first is second:
        return
    for _ in (first, second):
        await _pause()
    await _short()


def _prove(words: "memoryview[int]", at: int) -> int:
    """Read coroutines of our own that stand at known places; the offset of the instructions in
    a code object. Raises Unknown if they differ. What is read lies inside the objects."""
    starts = set()
    probes: list[tuple[Any, int]] = [
        (_short(), 1),
        (_long(1, 2), 1),
        (_long(1, 2), 2),
        (_long(1, 2), 3),
    ]
    for coroutine, steps in probes:
        for _ in range(steps):
            coroutine.send(None)
        if sys.getsizeof(coroutine) < (at + 1) * _WORD:
            raise Unknown("coroutines are smaller than expected")
        pointer = words[(id(coroutine) >> 3) + at]
        frame = coroutine.cr_frame
        starts.add(pointer - id(coroutine.cr_code) - frame.f_lasti)
        del frame
        coroutine.close()
    (start,) = starts if len(starts) == 1 else (-1,)
    if not 0 < start < sys.getsizeof(_long.__code__):
        raise Unknown("coroutines are not laid out as expected")
    return start
