import gc
import sys
import types

import pytest

from peeps.collectors import instruction_pointers
from peeps.collectors.expressions import Unknown
from peeps.collectors.instruction_pointers import make_pointers


@types.coroutine
def pause():
    yield


async def steps(first, *, second="b"):
    await pause()
    for letter in (first, second):
        try:
            await pause()
        finally:
            del letter
    async with Manager():
        await pause()


class Manager:
    async def __aenter__(self):
        await pause()

    async def __aexit__(self, *exc):
        pass


def generate(count):
    for number in range(count):
        if number:
            yield number
        else:
            yield


async def agenerate():
    await pause()
    yield 1


def test_places_of_a_suspended_coroutine_are_those_of_its_frame():
    pointers = make_pointers()
    coroutine = steps("a")
    seen = []
    for _ in range(5):
        coroutine.send(None)
        pointer = pointers.words[(id(coroutine) >> 3) + pointers.at]
        lasti = pointers.lasti(pointer, coroutine.cr_code)
        assert lasti == coroutine.cr_frame.f_lasti
        seen.append(lasti)
    assert len(set(seen)) == 4  # the loop stands at one place twice
    coroutine.close()


def test_generators_of_both_kinds_are_laid_out_alike():
    pointers = make_pointers()
    plain, asynchronous = generate(3), agenerate()
    asking = asynchronous.asend(None)
    asking.send(None)
    for _ in range(2):
        next(plain)
        pointer = pointers.words[(id(plain) >> 3) + pointers.at]
        assert pointers.lasti(pointer, plain.gi_code) == plain.gi_frame.f_lasti
    pointer = pointers.words[(id(asynchronous) >> 3) + pointers.at]
    assert pointers.lasti(pointer, asynchronous.ag_code) == asynchronous.ag_frame.f_lasti
    asking.close()
    plain.close()


def test_reading_leaves_no_frame_object_behind():
    pointers = make_pointers()
    coroutine = steps("a")
    coroutine.send(None)
    pointers.lasti(pointers.words[(id(coroutine) >> 3) + pointers.at], coroutine.cr_code)
    assert types.FrameType not in map(type, gc.get_referents(coroutine))
    assert coroutine.cr_frame is not None
    assert types.FrameType in map(type, gc.get_referents(coroutine))
    coroutine.close()


def test_a_pointer_into_other_code_is_refused():
    pointers = make_pointers()
    coroutine = steps("a")
    coroutine.send(None)
    pointer = pointers.words[(id(coroutine) >> 3) + pointers.at]
    with pytest.raises(Unknown):
        pointers.lasti(pointer, generate.__code__)
    coroutine.close()


def test_another_layout_is_found_out(monkeypatch):
    for wrong in (3, 9, 12, 14, 15, 18):
        monkeypatch.setitem(instruction_pointers._POINTERS, sys.version_info[:2], wrong)
        with pytest.raises(Unknown):
            make_pointers()


def test_other_interpreters_are_not_tried(monkeypatch):
    monkeypatch.setattr(sys.implementation, "name", "pypy")
    with pytest.raises(Unknown, match="CPython"):
        make_pointers()
