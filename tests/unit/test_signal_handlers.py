import functools
import signal

import pytest

from peeps.signal_handlers import is_from_signal_handler


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


def test_what_anything_else_raised_is_not():
    with pytest.raises(Alarm) as caught:
        handler(0, None)
    assert not is_from_signal_handler(caught.value)


def test_what_can_only_come_from_outside_is_the_host_s():
    assert is_from_signal_handler(KeyboardInterrupt())
    assert is_from_signal_handler(SystemExit())
