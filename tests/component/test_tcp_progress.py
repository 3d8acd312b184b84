"""What the kernel counts on real connections of this process."""

import errno
import socket
import struct
import sys
import time
from collections.abc import Iterator

import pytest

from peeps import unpatched
from peeps.collectors import tcp_progress
from peeps.collectors.socket_addresses import Pair, ip_pair
from peeps.collectors.tcp_progress import Progress, parse_answer, parse_info, question

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux")

SOON_S = 10.0


class Connection:
    """Both ends of a TCP connection."""

    def __init__(self, host: str) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.create_server((host, 0), family=family) as server:
            self.near = socket.create_connection(server.getsockname()[:2])
            self.far, _ = server.accept()
        pair = ip_pair("tcp", self.near.getsockname(), self.near.getpeername())
        assert pair is not None
        self.pair = pair
        self.back = Pair("tcp", pair.remote, pair.local)

    def close(self) -> None:
        self.near.close()
        self.far.close()


@pytest.fixture(params=["127.0.0.1", "::1"])
def connection(request: pytest.FixtureRequest) -> Iterator[Connection]:
    try:
        made = Connection(request.param)
    except OSError:
        pytest.skip(f"no {request.param} here")
    yield made
    made.close()


def ask(*pairs: Pair) -> dict[Pair, Progress]:
    found, untold = tcp_progress.ask(pairs, SOON_S)
    if not found:
        pytest.skip(f"not told here: {untold}")
    assert untold is None
    return found


def test_bytes_are_counted_each_way(connection: Connection) -> None:
    connection.near.sendall(b"x" * 1000)
    connection.far.sendall(b"y" * 30)
    connection.near.recv(1, socket.MSG_PEEK)  # until they have arrived
    connection.far.recv(1, socket.MSG_PEEK)
    found = ask(connection.pair, connection.back)
    near, far = found[connection.pair], found[connection.back]
    assert (near.bytes_sent, near.bytes_received) == (1000, 30)
    assert (far.bytes_sent, far.bytes_received) == (30, 1000)


def test_silence_is_counted_until_something_moves(connection: Connection) -> None:
    end = time.monotonic() + SOON_S
    while (quiet := ask(connection.pair)[connection.pair].quiet_s) < 0.2:
        assert time.monotonic() < end
        time.sleep(0.05)
    connection.far.sendall(b"y")
    connection.near.recv(1, socket.MSG_PEEK)
    assert ask(connection.pair)[connection.pair].quiet_s < quiet


def test_who_has_spoken_last(connection: Connection) -> None:
    connection.near.sendall(b"question")
    connection.far.recv(100)
    time.sleep(0.05)  # the kernel's clock has steps of some milliseconds
    connection.far.sendall(b"answer")
    connection.near.recv(1, socket.MSG_PEEK)
    found = ask(connection.pair, connection.back)
    assert found[connection.pair].received_last
    assert not found[connection.back].received_last


def test_one_that_has_gone_costs_only_itself(connection: Connection) -> None:
    gone = Connection("127.0.0.1")
    gone.close()
    many = [gone.pair] + [connection.pair] * (2 * tcp_progress.AT_ONCE)
    assert set(ask(*many)) == {connection.pair}


def test_no_time_for_all(connection: Connection) -> None:
    count = 2 * tcp_progress.AT_ONCE
    found, untold = tcp_progress.ask([connection.pair] * count, 0.0)
    if not found:
        pytest.skip(f"not told here: {untold}")
    assert untold == f"the time was up with {tcp_progress.AT_ONCE} of {count} connections to go"


def test_a_late_answer_is_that_of_its_own_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's answers, with one held back until the next questions are asked."""
    count = 3 * tcp_progress.AT_ONCE
    addresses = [("127.0.0.1", 1), *(("127.0.0.1", 1000 + n) for n in range(count))]
    pairs = [pair for far in addresses[1:] if (pair := ip_pair("tcp", addresses[0], far))]
    pending: list[bytes] = []
    sent: list[int] = []

    class Kernel:
        def __init__(self, *_: object) -> None: ...
        def setblocking(self, is_blocking: bool) -> None: ...
        def close(self) -> None: ...

        def send(self, questions: bytes) -> None:
            for start in range(0, len(questions), 72):
                (number,) = struct.unpack_from("=I", questions, start + 8)
                (port,) = struct.unpack_from("!H", questions, start + 16 + 8 + 2)
                info = bytearray(an_info(280))
                struct.pack_into("=Q", info, 128, port)
                head = struct.pack("=IHHII", 16 + 72 + 4 + 280, 20, 0, number, 0) + bytes(72)
                pending.append(head + struct.pack("=HH", 284, 2) + info)
            sent.append(len(pending))

        def recv(self, size: int) -> bytes:
            is_last = len(sent) == count // tcp_progress.AT_ONCE
            if len(pending) > (0 if is_last else 5):
                return pending.pop(0)
            raise BlockingIOError

    monkeypatch.setattr(unpatched, "CSocket", Kernel)
    found, untold = tcp_progress.ask(pairs, SOON_S)
    assert untold is None
    told = {pair: progress.bytes_received for pair, progress in found.items()}
    assert told == {pair: 1000 + n for n, pair in enumerate(pairs)}


def test_where_nobody_may_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(unpatched, "CSocket", forbidden)
    pair = ip_pair("tcp", ("127.0.0.1", 1), ("127.0.0.1", 2))
    assert pair is not None
    assert tcp_progress.ask([pair], SOON_S) == (
        {},
        "the kernel may not be asked: Operation not permitted",
    )


def test_where_the_kernel_knows_no_such_question() -> None:
    pair = ip_pair("tcp", ("127.0.0.1", 1), ("127.0.0.1", 2))
    assert pair is not None
    found, untold = tcp_progress.ask([pair], SOON_S)
    assert found == {}
    assert untold is not None


def an_info(size: int) -> bytes:
    info = bytearray(280)
    struct.pack_into("=I", info, 44, 7000)
    struct.pack_into("=I", info, 52, 4200)
    struct.pack_into("=QQ", info, 120, 90, 50)
    struct.pack_into("=QQ", info, 200, 110, 10)
    return bytes(info[:size])


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (280, Progress(100, 50, 4.2, True)),  # all that were sent, without those sent again
        (192, Progress(90, 50, 4.2, True)),  # an older kernel: those that were confirmed
        (104, None),  # an old one counts no bytes
        (0, None),
    ],
)
def test_kernels_of_several_ages(size: int, expected: Progress | None) -> None:
    assert parse_info(an_info(size)) == expected


def test_answers_are_read_with_care() -> None:
    pair = ip_pair("tcp", ("10.0.0.1", 1), ("10.0.0.2", 2))
    assert pair is not None
    assert len(question(pair, 3)) == 72
    refused = struct.pack("=IHHIIi", 36, 2, 0, 5, 0, -errno.ENOENT)
    assert parse_answer(refused) == (5, errno.ENOENT)
    head = struct.pack("=IHHII", 16 + 72 + 4 + 280, 20, 0, 3, 0) + bytes(72)
    whole = head + struct.pack("=HH", 284, 2) + an_info(280)
    assert parse_answer(whole) == (3, Progress(100, 50, 4.2, True))
    assert parse_answer(whole[:100]) == (3, None)
    assert parse_answer(head + struct.pack("=HH", 0, 9)) == (3, None)
