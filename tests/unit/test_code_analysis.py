"""Facts read from bytecode alone, on the interpreter at hand."""

import contextlib
import dis
import sys
import threading
from types import CodeType, FrameType
from typing import Any

import pytest

from peeps.collectors import code_analysis
from peeps.collectors.bytecode import Instructions, exception_table, stack_depths
from peeps.collectors.code_analysis import analyse
from peeps.collectors.expressions import text

lock = threading.Lock()
other = threading.Lock()


class Box:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.by_name = {"a": threading.Lock()}
        self.row = [threading.Lock()]


box = Box()


def here() -> tuple[list[str | None], list[str]]:
    """What the caller's frame has entered, and will release, as written."""
    frame = sys._getframe(1)
    withs, releases = analyse(frame.f_code).active(frame.f_code, frame.f_lasti)
    return [w.manager and text(w.manager) for w in withs], [text(r) for r in releases]


def one_with() -> Any:
    with lock:
        return here()


def nested(index: int = 0, key: str = "a") -> Any:
    with box.lock, box.by_name[key]:
        for _ in range(2):
            with box.row[index]:
                found = here()
        return found


def after_with() -> Any:
    with lock:
        pass
    return here()


def rebound() -> Any:
    mine = lock
    with mine:
        mine = other
        return here()


def rebound_next_time_round() -> Any:
    mine = lock
    with mine:
        for _ in range(2):
            found = here()
            mine = other
    return found


def rebound_attribute() -> Any:
    mine = Box()
    with mine.lock:
        mine.lock = other
        return here()


def conditional(flag: bool = True) -> Any:
    with lock if flag else other:
        return here()


def call_result() -> Any:
    with contextlib.closing(contextlib.ExitStack()):
        return here()


def walrus() -> Any:
    with (mine := threading.Lock()):
        assert mine
        return here()


def by_finally() -> Any:
    lock.acquire()
    try:
        return here()
    finally:
        lock.release()


def finally_after_work() -> Any:
    lock.acquire()
    try:
        return here()
    finally:
        str(1)
        box.lock.locked()
        lock.release()


def finally_if() -> Any:
    acquired = lock.acquire(timeout=0.01)
    try:
        return here()
    finally:
        if acquired:
            lock.release()


def in_except() -> Any:
    lock.acquire()
    try:
        found = here()
    except ValueError:
        lock.release()
        raise
    lock.release()
    return found


def closure() -> Any:
    mine = threading.Lock()

    def inner() -> Any:
        with mine:
            return here()

    return inner()


@pytest.mark.parametrize(
    ("function", "withs", "releases"),
    [
        (one_with, ["lock"], []),
        (nested, ["box.lock", "box.by_name[key]", "box.row[index]"], []),
        (after_with, [], []),
        (rebound, [None], []),
        (rebound_next_time_round, [None], []),
        (rebound_attribute, [None], []),
        (conditional, [None], []),
        (call_result, [None], []),
        (walrus, ["mine"], []),
        (by_finally, [], ["lock"]),
        (finally_after_work, [], ["lock"]),
        (finally_if, [], []),
        (in_except, [], []),
        (closure, ["mine"], []),
    ],
)
def test_regions(function: Any, withs: list[str | None], releases: list[str]) -> None:
    assert function() == (withs, releases)


async def in_coroutine() -> Any:
    async with contextlib.AsyncExitStack() as stack:
        with lock:
            assert stack
            return here()


async def test_regions_of_coroutines() -> None:
    assert await in_coroutine() == ([None, "lock"], [])


class Watch:
    """Looks at its caller's frame while the caller is inside a C function."""

    def __init__(self) -> None:
        self.frame: FrameType = sys._getframe()
        self.lasti = 0

    def __eq__(self, _: object) -> bool:
        self.frame = sys._getframe(1)
        self.lasti = self.frame.f_lasti
        return True

    __hash__ = None  # type: ignore[assignment]


def call_plain(things: list[Any], watch: Watch) -> None:
    things.index(watch)


def call_with_more_arguments(things: list[Any], watch: Watch) -> None:
    things.index(watch, 0, len(things) if things else 0)


def call_deep_inside(things: list[Any], watch: Watch) -> Any:
    with lock:
        return (1, [2, {3: things.index(watch)}])


@pytest.mark.parametrize(
    ("function", "arguments"),
    [(call_plain, 1), (call_with_more_arguments, 3), (call_deep_inside, 1)],
)
def test_call_sites(function: Any, arguments: int) -> None:
    watch = Watch()
    function([object()], watch)
    code = watch.frame.f_code
    site = analyse(code).site(code, watch.lasti)
    assert site is not None
    assert site.kind == "call"
    assert site.arguments == arguments
    assert site.target is not None
    assert text(site.target) == "things.index"
    assert site.first is not None
    assert text(site.first) == "watch"


def test_no_site_where_no_call_is() -> None:
    code = one_with.__code__
    assert analyse(code).site(code, 0) is None
    assert analyse(code).site(code, 99_999) is None


def all_code(code: CodeType) -> Any:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from all_code(constant)


def stdlib_code() -> Any:
    import asyncio.base_events
    import concurrent.futures.thread
    import queue
    import subprocess
    import tarfile

    modules = [threading, queue, subprocess, tarfile, contextlib, asyncio.base_events]
    modules += [concurrent.futures.thread, dis]
    for module in modules:
        assert module.__file__
        with open(module.__file__) as source:  # noqa: PTH123
            yield from all_code(compile(source.read(), module.__file__, "exec"))


def test_depths_agree_with_the_exception_table_and_the_stack_size() -> None:
    """Two independent sources: the compiler's table says how deep the stack is at a region."""
    checked = 0
    for code in stdlib_code():
        table = exception_table(code)
        depths = stack_depths(code, table)
        assert all(0 <= depth <= code.co_stacksize for depth in depths.values()), code
        for region in table:
            inside = [d for o, d in depths.items() if region.start <= o < region.end]
            assert all(depth >= region.depth for depth in inside), code
            checked += len(inside)
    assert checked > 1000


def test_every_with_of_the_standard_library_is_mapped_to_its_handler() -> None:
    expected = found = 0
    for code in stdlib_code():
        table = exception_table(code)
        depths = stack_depths(code, table)
        instructions = Instructions(code)
        entered = [
            i
            for i in instructions.all
            if i.name in ("BEFORE_WITH", "BEFORE_ASYNC_WITH") and i.offset in depths
        ]
        expected += len(entered)
        found += len(code_analysis._withs(instructions, table))
    assert found == expected > 20


def test_the_cache_is_bounded_and_keeps_no_code_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_analysis, "_LIMIT", 3)
    monkeypatch.setattr(code_analysis, "_cache", {})
    for number in range(10):
        code = compile(f"x{number} = {number}", "<made here>", "exec")
        assert analyse(code) is analyse(code)
        assert len(code_analysis._cache) <= 3
    del code
    (reference, _) = next(iter(code_analysis._cache.values()))
    assert reference() is None
