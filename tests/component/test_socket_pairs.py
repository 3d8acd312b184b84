"""Real sockets, asked after the cut."""

import contextlib
import socket
import weakref

from peeps.collectors.socket_addresses import ip_pair
from peeps.collectors.socket_pairs import Resolver, has_room


def test_a_connection_is_asked_once_and_forgotten_with_its_socket() -> None:
    resolver = Resolver()
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        handle = weakref.ref(near)
        expected = ip_pair("tcp", near.getsockname(), near.getpeername())
        assert resolver.pair(handle) == expected
        assert resolver.pair(weakref.ref(server)) is None, "it has no other end"
        near.close()
        assert resolver.pair(handle) == expected, "the addresses are known"
        del near
        resolver.forget_the_dead()
        assert resolver.pair(handle) is None
    assert resolver.pair(None) is None


def test_room_to_send() -> None:
    near, far = socket.socketpair()
    with near, far:
        assert has_room(weakref.ref(near))
        near.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                near.send(bytes(65536))
        assert not has_room(weakref.ref(near))
    assert has_room(weakref.ref(near)), "closed: nobody waits for it"
