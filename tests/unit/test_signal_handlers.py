import asyncio
import functools
import signal

import pytest
import trio

from peeps.signal_handlers import as_raised, count_handlers, is_from_signal_handler


class Alarm(Exception):
    pass


def handler(number, frame):
    raise Alarm


def raise_deeper(number, frame):
    handler(number, frame)


class Object:
    def method(self, number, frame):
        raise Alarm

    def __call__(self, number, frame):
        raise Alarm


@pytest.mark.parametrize(
    "installed",
    [handler, raise_deeper, Object().method, Object(), functools.partial(handler)],
    ids=["function", "deeper", "method", "object", "partial"],
)
def test_what_a_handler_raised_is_the_host_s(installed):
    before = signal.signal(signal.SIGUSR1, installed)
    try:
        with pytest.raises(Alarm) as caught:
            signal.raise_signal(signal.SIGUSR1)
        assert is_from_signal_handler(caught.value)
    finally:
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("kind", [StopIteration, StopAsyncIteration])
def test_an_end_of_iteration_that_a_handler_raised_comes_out_of_a_generator_as_it_was(kind):
    def stop(number, frame):
        raise kind

    async def steps_of_async():
        signal.raise_signal(signal.SIGUSR1)
        yield

    def steps():
        signal.raise_signal(signal.SIGUSR1)
        yield

    before = signal.signal(signal.SIGUSR1, stop)
    try:
        of_this = steps if kind is StopIteration else lambda: anext(steps_of_async()).__await__()
        with pytest.raises(RuntimeError) as caught:
            next(of_this())
    finally:
        found = is_from_signal_handler(caught.value)
        signal.signal(signal.SIGUSR1, before)
    assert found
    assert type(as_raised(caught.value)) is kind


@pytest.mark.parametrize(
    ("installed", "is_one"),
    [
        (handler, True),
        (print, True),  # not even of Python
        (functools.partial(handler), True),
        (signal.default_int_handler, False),
        (signal.SIG_IGN, False),
        (signal.SIG_DFL, False),
        (functools.partial(asyncio.Runner()._on_sigint, main_task=None), False),
    ],
    ids=["function", "built-in", "partial", "Python's own", "ignored", "default", "asyncio's own"],
)
def test_handlers_that_may_end_a_wait_are_counted(installed, is_one):
    before = signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    try:
        without = count_handlers()
        signal.signal(signal.SIGUSR1, installed)
        assert count_handlers() == without + is_one
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_how_a_run_of_trio_waits_for_ctrl_c_does_not_count():
    async def main():
        return count_handlers(), signal.getsignal(signal.SIGINT)

    without = count_handlers()
    within, handler_of_trio = trio.run(main)
    assert handler_of_trio is not signal.default_int_handler
    assert within == without


def test_what_anything_else_raised_is_not():
    with pytest.raises(Alarm) as caught:
        handler(0, None)
    assert not is_from_signal_handler(caught.value)


def test_what_can_only_come_from_outside_is_the_host_s():
    assert is_from_signal_handler(KeyboardInterrupt())
    assert is_from_signal_handler(SystemExit())
