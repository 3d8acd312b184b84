"""Read the value stack and the variables of another thread's frame, in place.

Decides whether this interpreter's frames may be read in memory at all (release builds of CPython
3.11, 3.12 and 3.13 with the interpreter lock, proved by a self-test), and whether a slot is alive
at the instant it is read. Refuses to know what is looked for.

Why not `f_locals`: up to 3.12 it leaves a dictionary on the frame that keeps deleted variables
alive, which would change the observed program.

Why it is safe. Other threads run only while this one has given up the interpreter lock, and a
thread gives it up only when it enters a function, jumps backward or has made a call. Hence "the
frame still is where it was and at the same instruction: read", written as one expression without
a call, is atomic. The same instruction means that everything which the compiler put on the stack
below its operands is there, and owned by it (`stack_object`). The operands themselves are not:
the interpreter lets go of them within the instruction, some before the call (`f(*a_list)`, a
manager being entered from 3.12 on), the others after it, and leaves their addresses in the slots.
So of an operand the address alone is read (`stack_word`), and it is followed only if it is found
to be that of a live object of a type whose end runs nobody's code (`operand`). In 3.11 a frame
that returns is still on the stack while its variables are let go of: those are not read.
"""

import struct
import sys
from _thread import allocate_lock
from collections.abc import Callable, Mapping
from pathlib import Path
from types import CellType, CodeType, FrameType
from typing import Any, NamedTuple

from .code_analysis import analyse
from .expressions import Unknown

_WORD = 8


class Layout(NamedTuple):
    """Offsets in bytes inside `_PyInterpreterFrame`."""

    code: int
    frame_object: int
    owner: int
    slots: int
    """Where the variables begin; the value stack follows them."""


_LAYOUTS = {
    (3, 11): Layout(code=4 * _WORD, frame_object=5 * _WORD, owner=69, slots=72),
    (3, 12): Layout(code=0, frame_object=6 * _WORD, owner=70, slots=72),
    (3, 13): Layout(code=0, frame_object=6 * _WORD, owner=70, slots=72),
}
_FRAME_POINTER = 3 * _WORD
"""Offset of the frame's address in a frame object: after reference count, type and `f_back`."""
_OWNED_BY_FRAME_OBJECT = 2
_MOST_REFERENCES = 1 << 40
"""More than any object has, immortal ones included, and less than any address: what was freed has
the address of the next free block there, or nothing."""
_MOVED: Any = object()


class Moved(Unknown):
    """The frame is no longer where it was, or no longer at the same instruction."""


class Reader(NamedTuple):
    """How to look into memory. Made once: loading ctypes is not for the cut."""

    layout: Layout
    word: Callable[[int], Any]
    byte: Callable[[int], Any]
    object: Callable[[int], Any]
    is_mapped: Callable[[int], bool]
    """Whether anything is at an address. Asked without giving up the interpreter lock."""


def make_reader() -> Reader:
    """A reader for this interpreter. Raises Unknown, with the reason, where there is none."""
    reason = why_unreadable()
    if reason is not None:
        raise Unknown(reason)
    import ctypes

    reader = Reader(
        _LAYOUTS[sys.version_info[:2]],
        ctypes.c_size_t.from_address,
        ctypes.c_ubyte.from_address,
        ctypes.py_object.from_address,
        _make_is_mapped(),
    )
    _prove(reader)
    return reader


def _make_is_mapped() -> Callable[[int], bool]:
    """Raises Unknown where the system cannot tell."""
    import ctypes
    import mmap

    try:
        mincore = ctypes.PyDLL(None).mincore
    except (OSError, AttributeError, TypeError) as exc:
        raise Unknown("this system does not tell what is mapped") from exc
    mincore.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p)
    page, resident = mmap.PAGESIZE, ctypes.create_string_buffer(2)

    def is_mapped(address: int) -> bool:
        start = address // page * page
        length = address + 2 * _WORD - start
        return bool(mincore(start, length, resident) == 0)

    if not is_mapped(id(is_mapped)) or is_mapped(page):
        raise Unknown("this system does not tell what is mapped")
    return is_mapped


def why_unreadable() -> str | None:
    version = sys.version_info[:2]
    flags = getattr(sys, "abiflags", "")
    if sys.implementation.name != "cpython":
        return f"{sys.implementation.name} is not CPython"
    if version not in _LAYOUTS:
        return f"frames of Python {version[0]}.{version[1]} were not verified"
    if "t" in flags:
        return "frames of a free-threaded build were not verified"
    if "d" in flags or hasattr(sys, "gettotalrefcount") or hasattr(sys, "getobjects"):
        return "frames of a debug build were not verified"
    if struct.calcsize("P") != _WORD:
        return "frames of a 32-bit build were not verified"
    return None


# ------------------------------------------------------------------ the proof


def _prove(reader: Reader) -> None:
    """Read a frame of our own whose contents are known. Raises Unknown if anything differs.

    The first look goes through /proc/self/mem, where a wrong address is an error and no crash.
    """
    found: list[Exception | None] = []

    def look(frame: FrameType, lock: object, items: list[Any], probe: object) -> None:
        try:
            _compare_raw(reader.layout, frame, lock, items, probe)
            _compare(reader, frame, lock, items, probe)
            found.append(None)
        except Exception as exc:
            found.append(exc)

    _subject(look)
    problem = found[0] if found else Unknown("the test did not run")
    if problem is not None:
        raise Unknown(f"self-test failed: {problem or type(problem).__name__}")


class _Probe:
    """Looks at the frame that compares it."""

    def __init__(self, look: Callable[..., None], lock: object, items: list[Any]) -> None:
        self._look = look
        self._lock = lock
        self._items = items

    def __eq__(self, other: object) -> bool:
        self._look(sys._getframe(1), self._lock, self._items, self)
        return True

    __hash__ = None  # type: ignore[assignment]


def _subject(look: Callable[..., None]) -> None:
    """The frame that is looked at: one lock entered, one C method under way."""
    lock = allocate_lock()
    items: list[Any] = [object()]
    probe = _Probe(look, lock, items)
    with lock:
        items.index(probe)


def _compare_raw(
    layout: Layout, frame: FrameType, lock: object, items: list[Any], probe: object
) -> None:
    code = frame.f_code
    analysis = analyse(code)
    site = analysis.site(code, frame.f_lasti)
    if site is None:
        raise Unknown("no call site")
    with Path("/proc/self/mem").open("rb", buffering=0) as memory:

        def word(address: int) -> int:
            memory.seek(address)
            return int.from_bytes(memory.read(_WORD), sys.byteorder)

        there = word(id(frame) + _FRAME_POINTER)
        stack = there + layout.slots + _WORD * analysis.slot_count
        operands = stack + _WORD * site.base
        seen = [word(there + layout.code), word(there + layout.frame_object)]
        for name in ("lock", "items", "probe"):
            seen.append(word(there + layout.slots + _WORD * analysis.slots[name]))
        seen += [word(operands + _WORD * k) for k in range(3)]
    method = list.__dict__["index"]
    expected = [code, frame, lock, items, probe, method, items, probe]
    if seen != [id(thing) for thing in expected]:
        raise Unknown("the frame is not laid out as expected")


def _compare(
    reader: Reader, frame: FrameType, lock: object, items: list[Any], probe: object
) -> None:
    pinned = PinnedFrame(reader, frame, frame.f_lasti)
    site = pinned.analysis.site(pinned.code, pinned.lasti)
    if site is None or pinned.operand(site.base + 1, {id(list): list}) is not items:
        raise Unknown("operands are not laid out as expected")
    (entered,) = pinned.analysis.active(pinned.code, pinned.lasti).withs
    bound_exit: Any = pinned.stack_object(entered.depth - 1)
    seen = [pinned.variable("items"), pinned.variable("probe"), bound_exit.__self__]
    if any(a is not b for a, b in zip(seen, [items, probe, lock], strict=True)):
        raise Unknown("the value stack is not laid out as expected")


class PinnedFrame:
    """One frame, pinned to the instruction at which it was found.

    Every read raises Moved once the frame has gone on.
    """

    __slots__ = ("_address", "_frame", "_pointer", "_reader", "analysis", "code", "lasti")

    def __init__(self, reader: Reader, frame: FrameType, lasti: int) -> None:
        layout = reader.layout
        self._reader = reader
        self._frame = frame
        self.code: CodeType = frame.f_code
        self.analysis = analyse(self.code)
        self.lasti = lasti
        self._pointer = pointer = reader.word(id(frame) + _FRAME_POINTER)
        address: int = pointer.value
        self._address = address
        code = reader.word(address + layout.code)
        back = reader.word(address + layout.frame_object)
        owner = reader.byte(address + layout.owner)
        # One expression without a call: see the head of the file.
        # fmt: off
        found = (code.value, back.value, owner.value) if frame.f_lasti == lasti and pointer.value == address else None  # noqa: E501
        # fmt: on
        if found is None or found[2] == _OWNED_BY_FRAME_OBJECT:
            raise Moved("the frame has returned")
        if found[0] != id(self.code) or found[1] not in (0, id(frame)):
            raise Unknown("the frame is not laid out as expected")

    def variable(self, name: str) -> object:
        """The value of a local or enclosing variable. Raises KeyError if it has none."""
        if self.analysis.returns_at(self.code, self.lasti):
            raise Moved("the frame is returning")
        position = self.analysis.slots[name]
        value = self._object(self._slot(position))
        if value is None and not self._word(self._slot(position)):
            raise KeyError(name)
        if type(value) is CellType and name in self.analysis.cells:
            try:
                return value.cell_contents
            except ValueError:
                raise KeyError(name) from None
        return value

    def stack_word(self, position: int) -> int:
        """The address in a slot of the value stack, 0 for an empty one; it is not followed."""
        return self._word(self._stack_slot(position))

    def stack_object(self, position: int) -> object:
        """The object in a slot of the value stack that is known to be live; None if empty."""
        return self._object(self._stack_slot(position))

    def operand(self, position: int, trusted: Mapping[int, type]) -> object:
        """The object in a slot that nobody need own any more, if it is a live one of exactly one
        of these types (by their ids), whose end runs no code of anybody. Raises Unknown."""
        word = self.stack_word(position)
        reader, frame, lasti = self._reader, self._frame, self.lasti
        pointer, there, address = self._pointer, self._address, self._stack_slot(position)
        if not word or word % _WORD or not reader.is_mapped(word):
            raise Unknown("nothing is there")
        slot, object_there = reader.word(address), reader.object(address)
        references, kind = reader.word(word), reader.word(word + _WORD)
        most = _MOST_REFERENCES
        # One expression without a call: see the head of the file.
        # fmt: off
        value = object_there.value if frame.f_lasti == lasti and pointer.value == there and slot.value == word and kind.value in trusted and 0 < references.value < most else _MOVED  # noqa: E501
        # fmt: on
        if value is _MOVED:
            raise Unknown("no live object of a type that may be followed")
        return value

    def _slot(self, position: int) -> int:
        return self._address + self._reader.layout.slots + _WORD * position

    def _stack_slot(self, position: int) -> int:
        if not 0 <= position < self.code.co_stacksize:
            raise Unknown("outside of the value stack")
        return self._slot(self.analysis.slot_count + position)

    def _word(self, address: int) -> int:
        word = self._reader.word(address)
        frame, pointer, lasti, there = self._frame, self._pointer, self.lasti, self._address
        # fmt: off
        value: int | None = word.value if frame.f_lasti == lasti and pointer.value == there else None  # noqa: E501
        # fmt: on
        if value is None:
            raise Moved("the frame has moved on")
        return value

    def _object(self, address: int) -> object:
        word, object_there = self._reader.word(address), self._reader.object(address)
        frame, pointer, lasti, there = self._frame, self._pointer, self.lasti, self._address
        # One expression without a call: see the head of the file.
        # fmt: off
        value = (object_there.value if word.value else None) if frame.f_lasti == lasti and pointer.value == there else _MOVED  # noqa: E501
        # fmt: on
        if value is _MOVED:
            raise Moved("the frame has moved on")
        return value
