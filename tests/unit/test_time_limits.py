"""Which argument of a blocking call is its time limit, and what its value means."""

import math
import multiprocessing
import queue
import select
import socket
import threading
from typing import Any

import pytest

from peeps.collectors.time_limits import limit_of_call, limit_of_socket

LOCK = threading.Lock()


class Hostile:
    """A value whose operators must not be run."""

    def __eq__(self, other: object) -> bool:
        raise AssertionError("compared")

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("arguments", "keywords", "expected"),
    [
        ((), (), None),
        ((True,), (), None),
        ((True, 5), (), 5.0),
        ((True, 2.5), (), 2.5),
        ((True, -1), (), None),
        ((1.5,), ("timeout",), 1.5),
        ((-1,), ("timeout",), None),
        ((True, 1.5), ("timeout",), 1.5),
        ((3, True), ("timeout", "blocking"), 3.0),
        ((False,), (), 0.0),
        ((0,), ("blocking",), 0.0),
        ((True, 0), (), 0.0),
        ((True, math.inf), (), None),
        ((True, math.nan), (), None),
        ((True, "5"), (), None),
        ((Hostile(), Hostile()), (), None),
    ],
)
def test_locks(arguments: tuple[Any, ...], keywords: tuple[str, ...], expected: Any) -> None:
    count = len(arguments)
    found = limit_of_call("acquire", LOCK, count, keywords, arguments.__getitem__)
    assert found == expected


EPOLL_OR_POLL = [
    pytest.param("poll", lambda: select.poll(), (2500,), 2.5, id="poll counts milliseconds"),
    pytest.param("poll", lambda: select.poll(), (None,), None, id="poll without"),
]
if hasattr(select, "epoll"):
    EPOLL_OR_POLL.append(
        pytest.param("poll", lambda: select.epoll(), (2.5, 10), 2.5, id="epoll counts seconds")
    )


@pytest.mark.parametrize(
    ("name", "owner", "arguments", "expected"),
    [
        *EPOLL_OR_POLL,
        pytest.param("get", queue.SimpleQueue, (True, 4), 4.0, id="queue"),
        pytest.param("get", queue.SimpleQueue, (False,), 0.0, id="queue, not waiting"),
        pytest.param("acquire", multiprocessing.Lock, (True, 7), 7.0, id="multiprocessing"),
        pytest.param("select", lambda: None, ([], [], [], 1.5), 1.5, id="select"),
        pytest.param("select", lambda: None, ([], [], []), None, id="select without"),
        pytest.param("join", lambda: None, (6,), 6.0, id="thread"),
        pytest.param("recv", lambda: None, (4096,), None, id="no limit, but a size"),
    ],
)
def test_other_calls(name: str, owner: Any, arguments: tuple[Any, ...], expected: Any) -> None:
    found = limit_of_call(name, owner(), len(arguments), (), arguments.__getitem__)
    assert found == expected


@pytest.mark.parametrize(("timeout", "expected"), [(None, None), (2.5, 2.5)])
def test_sockets(timeout: float | None, expected: float | None) -> None:
    here, there = socket.socketpair()
    with here, there:
        here.settimeout(timeout)
        assert limit_of_socket(here) == expected
    assert limit_of_socket(object()) is None
