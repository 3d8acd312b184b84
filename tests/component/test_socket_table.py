"""What the kernel says about real sockets of this process."""

import os
import socket
import sys
from pathlib import Path

import pytest

from peeps.collectors import socket_table
from peeps.collectors.socket_addresses import ip_pair
from peeps.collectors.socket_table import (
    inode_of,
    own_socket_inodes,
    parse_proc_address,
    parse_unix_answer,
    tcp_sockets,
    unix_socket,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux")


@pytest.mark.skipif(sys.byteorder != "little", reason="written as such machines write it")
def test_addresses_as_the_kernel_writes_them() -> None:
    assert parse_proc_address("0100007F:0050") == ("127.0.0.1:80", True)
    assert parse_proc_address("0000000000000000FFFF00000100007F:0050") == ("127.0.0.1:80", True)
    assert parse_proc_address("00000000000000000000000001000000:0050") == ("[::1]:80", True)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_tcp(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        server = socket.create_server((host, 0), family=family)
    except OSError:
        pytest.skip(f"no {host} here")
    with server, socket.create_connection(server.getsockname()[:2]) as near:
        far, _ = server.accept()
        with far:
            far.send(b"12345")
            inode = inode_of(near.fileno())
            pair = ip_pair("tcp", near.getsockname(), near.getpeername())
            near.recv(1, socket.MSG_PEEK)  # until it has arrived
            row = dict(tcp_sockets())[inode or 0]
            assert row.pair == pair
            assert (row.state, row.unread_bytes) == ("established", 5)
            assert inode in own_socket_inodes(10.0)


@pytest.mark.parametrize("kind", ["pair", "path", "abstract"])
def test_unix(kind: str, tmp_path: Path) -> None:
    if kind == "pair":
        near, far = socket.socketpair()
    else:
        name = str(tmp_path / "s") if kind == "path" else f"\0peeps-test-{os.getpid()}"
        near = socket.socket(socket.AF_UNIX)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(name)
            server.listen()
            near.connect(name)
            far, _ = server.accept()
    with near, far:
        near_inode, far_inode = inode_of(near.fileno()), inode_of(far.fileno())
        here, there = unix_socket(near_inode or 0), unix_socket(far_inode or 0)
        if here is None or there is None:
            pytest.skip("the kernel may not be asked here")
        assert here.pair.peer_id("s") == there.pair.id("s")
        assert (near_inode, far_inode) == (int(here.pair.local.text), int(there.pair.local.text))
        if kind == "path":
            assert there.path == str(tmp_path / "s")
        elif kind == "abstract":
            assert there.path == f"@peeps-test-{os.getpid()}"


def test_unix_without_another_end() -> None:
    with socket.socket(socket.AF_UNIX) as alone:
        assert unix_socket(inode_of(alone.fileno()) or 0) is None
    assert unix_socket(1) is None


def test_what_is_no_socket() -> None:
    with Path(os.devnull).open() as file:
        assert inode_of(file.fileno()) is None
    assert inode_of(999_999) is None


def test_answers_that_are_cut_short_are_no_answers() -> None:
    error = socket_table._HEADER.pack(36, 2, 0, 0, 0) + b"\0" * 20
    assert parse_unix_answer(error, 1) is None
    short = socket_table._HEADER.pack(400, 20, 0, 0, 0) + b"\0" * 16
    assert parse_unix_answer(short, 1) is None


def test_a_table_too_long_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_table, "MAX_TABLE_BYTES", 10)
    assert tcp_sockets() == []
