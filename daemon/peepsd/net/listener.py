"""Accepting connections, for as long as the daemon lives.

Decides what to do when no more can be accepted: out of descriptors it waits and says so once;
at the limit of connections one that is silent makes room, or the newcomer is closed. Refuses to
know the protocol, and who is silent.
"""

import errno
import socket
from collections.abc import Awaitable, Callable

import structlog
import trio

from .unix_socket import open_unix_listener, remove_unix_socket

RETRY_S = 0.1
BACKLOG = 1024

_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
# accept(2): errors of the connection that was to be accepted, not of the listener.
_PASSING = {
    getattr(errno, name)
    for name in (
        *("ECONNABORTED", "EPERM", "EPROTO", "ENOPROTOOPT", "EOPNOTSUPP", "ENETDOWN", "ENONET"),
        *("ENETUNREACH", "EHOSTDOWN", "EHOSTUNREACH", "ETIMEDOUT"),
    )
    if hasattr(errno, name)
}

Handler = Callable[[trio.SocketStream, str, str], Awaitable[None]]
"""Serve one stream (stream, local address, remote address); must not raise."""

MakeRoom = Callable[[], bool]
"""End a connection in favour of a newcomer. False: none may be ended."""

log = structlog.get_logger("peepsd.net")


class Listener:
    """The TCP listener of the snapshot protocol."""

    def __init__(
        self, handler: Handler, max_connections: int, make_room: MakeRoom = lambda: False
    ) -> None:
        self._handler = handler
        self._make_room = make_room
        self._max_connections = max_connections
        self.connections = 0
        self.refused = 0
        self.evicted = 0

    async def open(self, host: str, port: int) -> list[trio.SocketListener]:
        """Bind; port 0 takes a free one, a host that is a path is a Unix socket's. Raises
        OSError."""
        if host.startswith("/"):
            return [open_unix_listener(host)]
        return list(await trio.open_tcp_listeners(port, host=host, backlog=BACKLOG))

    async def serve(self, listeners: list[trio.SocketListener]) -> None:
        """Accept for ever; when cancelled, close the listeners."""
        try:
            async with trio.open_nursery() as nursery:
                for listener in listeners:
                    nursery.start_soon(self._accept, listener.socket, nursery)
        finally:
            for listener in listeners:
                name = listener.socket.getsockname()
                listener.socket.close()
                if listener.socket.family == socket.AF_UNIX:
                    remove_unix_socket(name)

    async def _accept(self, listening: trio.socket.SocketType, nursery: trio.Nursery) -> None:
        is_exhausted = False
        while True:
            try:
                connection, _ = await listening.accept()
            except OSError as exc:
                if exc.errno in _PASSING:
                    continue
                if exc.errno not in _EXHAUSTED:
                    raise
                if not is_exhausted:
                    log.error(
                        "cannot accept connections: out of file descriptors or memory",
                        connections=self.connections,
                        todo="raise the limit (ulimit -n, LimitNOFILE=)",
                        error=str(exc),
                    )
                is_exhausted = True
                await trio.sleep(RETRY_S)
                continue
            if is_exhausted:
                log.info("accepting connections again", connections=self.connections)
                is_exhausted = False
            nursery.start_soon(self._serve, connection)

    async def _serve(self, connection: trio.socket.SocketType) -> None:
        if self.connections >= self._max_connections and not self._is_room_made():
            connection.close()
            return
        self.connections += 1
        try:
            local = _address(connection.getsockname())
            remote = _address(connection.getpeername())
            if connection.family != socket.AF_UNIX:
                keep_alive(connection)
            await self._handler(trio.SocketStream(connection), local, remote)
        except OSError:
            pass  # it was gone before it was served
        finally:
            self.connections -= 1
            connection.close()

    def _is_room_made(self) -> bool:
        if self._make_room():
            self.evicted += 1
            if _is_worth_a_line(self.evicted):
                log.warning(
                    "too many connections; cut one that had never sent a byte",
                    connections=self.connections,
                    evicted=self.evicted,
                    todo="who connects and says nothing? or raise PEEPS_MAX_CONNECTIONS",
                )
            return True
        self.refused += 1
        if _is_worth_a_line(self.refused):
            log.error(
                "too many connections; refused one",
                connections=self.connections,
                refused=self.refused,
            )
        return False


def _is_worth_a_line(count: int) -> bool:
    return count == 1 or count % 1000 == 0


def keep_alive(connection: trio.socket.SocketType) -> None:
    """Find out about half-open peers: machines that vanished without a word."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", 30),
        ("TCP_KEEPINTVL", 10),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", 30_000),
    ):
        option = getattr(socket, name, None)  # not every platform has them all
        if option is not None:
            connection.setsockopt(socket.IPPROTO_TCP, option, value)


def _address(name: tuple[str, int] | str) -> str:
    if isinstance(name, str):
        return name or "unix"
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
