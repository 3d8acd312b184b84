"""At the limit of connections: who is let in, who is refused, and what is counted."""

import contextlib

import pytest
import trio

from peepsd.net.listener import Listener


class Crowd:
    """Streams being served, and who of them makes room."""

    def __init__(self) -> None:
        self.served = 0
        self.scopes: list[trio.CancelScope] = []
        self.may_be_cut = False

    async def serve(self, stream: trio.SocketStream, local: str, remote: str) -> None:
        self.served += 1
        with trio.CancelScope() as scope, contextlib.suppress(trio.BrokenResourceError):
            self.scopes.append(scope)
            await stream.send_all(b"hi")
            await stream.receive_some(1)

    def make_room(self) -> bool:
        if self.may_be_cut:
            self.scopes.pop(0).cancel()
        return self.may_be_cut


@pytest.mark.parametrize("is_room_made", [True, False])
async def test_a_newcomer_at_the_limit(nursery: trio.Nursery, is_room_made: bool) -> None:
    crowd = Crowd()
    listener = Listener(crowd.serve, 2, crowd.make_room)
    sockets = await listener.open("127.0.0.1", 0)
    nursery.start_soon(listener.serve, sockets)
    address = sockets[0].socket.getsockname()
    crowd.may_be_cut = is_room_made
    with trio.fail_after(30):
        first, second = [await trio.open_tcp_stream(*address) for _ in range(2)]
        assert [await s.receive_some(2) for s in (first, second)] == [b"hi", b"hi"]
        async with await trio.open_tcp_stream(*address) as third:
            if is_room_made:
                assert await third.receive_some(2) == b"hi"
                assert await first.receive_some(1) == b""
            else:
                with contextlib.suppress(trio.BrokenResourceError):
                    assert await third.receive_some(2) == b""
            assert crowd.served == (3 if is_room_made else 2)
            assert (listener.evicted, listener.refused) == ((1, 0) if is_room_made else (0, 1))
            assert listener.connections == 2
    for stream in (first, second):
        await trio.aclose_forcefully(stream)
