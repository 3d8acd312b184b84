"""From objects to connections, without running code of theirs and without keeping them."""

import asyncio
import gc
import socket
import weakref
from typing import Any

import pytest

from peeps.collectors.connections import ConnectionFinder


class Hostile:
    def __getattr__(self, name: str) -> Any:
        pytest.fail("__getattr__ ran")

    @property
    def transport(self) -> Any:
        pytest.fail("a property ran")


class Wrapper:
    def __init__(self, inner: Any) -> None:
        self._sock = inner
        self.own = inner


def test_sockets_and_what_wraps_them() -> None:
    finder = ConnectionFinder()
    near, far = socket.socketpair()
    with near, far:
        for value in (near, Wrapper(near), Wrapper(near), Wrapper(Wrapper(near)), near.makefile):
            handle = finder.find(value)
            assert isinstance(handle, weakref.ref)
            assert handle() is near
    assert finder.find(near) is None  # closed


def test_what_leads_nowhere() -> None:
    finder = ConnectionFinder()
    loop: Any = Wrapper(None)
    loop._sock = loop
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for value in (
            None,
            1,
            "x",
            [listener],
            {"a": listener},
            Hostile(),
            loop,
            Wrapper(listener),
        ):
            for _ in range(20):  # until it has been given up
                assert finder.find(value) is None


def test_a_class_that_was_given_up_is_tried_again_at_times() -> None:
    finder = ConnectionFinder()
    for _ in range(100):
        assert finder.find(Wrapper(None)) is None
    near, far = socket.socketpair()
    with near, far:
        found = [finder.find(Wrapper(near)) for _ in range(finder.RETRY_EVERY + 1)]
        assert found[-1] is not None


def test_nothing_is_kept_alive() -> None:
    finder = ConnectionFinder()
    near, far = socket.socketpair()
    wrapper = Wrapper(near)
    gone = [weakref.ref(wrapper), weakref.ref(near)]
    finder.find(wrapper)
    near.close()
    far.close()
    del wrapper, near
    gc.collect()
    assert [reference() for reference in gone] == [None, None]


def test_asyncio_streams() -> None:
    async def main() -> None:
        finder = ConnectionFinder()
        served: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        async def handle(reader: Any, writer: Any) -> None:
            served.set_result((reader, writer))

        async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
            address = server.sockets[0].getsockname()
            reader, writer = await asyncio.open_connection(*address)
            far_reader, far_writer = await served
            near, far = finder.find(reader), finder.find(far_writer)
            assert isinstance(near, tuple)
            assert isinstance(far, tuple)
            assert near == far[::-1]
            assert finder.find(writer) == near
            assert finder.find(far_reader) == far
            assert finder.find(server) is None
            writer.close()
            far_writer.close()

    asyncio.run(main())
