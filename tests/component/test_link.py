"""The agent's connection, where descriptors get closed and where no daemon answers."""

import os
import socket
import threading
import time

import pytest

from peeps.collectors.socket_table import own_socket_inodes
from peeps.link import connect, own_inodes
from peeps.waker import Waker, file_id


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def waker():
    waker = Waker()
    yield waker
    waker.close()


def test_bytes_go_both_ways(listener, waker):
    link = connect(listener.getsockname(), 10, waker)
    peer, _ = listener.accept()
    link.send([b"ab", b"c"], 10)
    assert peer.recv(10) == b"abc"
    peer.sendall(b"d")
    assert link.receive(10) == b"d"
    peer.close()
    assert link.receive(10) == b""
    link.close()


def test_its_socket_is_not_among_those_of_the_host(listener, waker):
    link = connect(listener.getsockname(), 10, waker)
    peer, _ = listener.accept()
    inode = os.fstat(link.fileno()).st_ino
    found = own_socket_inodes(10.0)
    assert os.fstat(peer.fileno()).st_ino in found
    assert inode not in found
    link.close()
    assert inode not in own_inodes, "the number may be somebody else's soon"
    peer.close()


def test_what_the_host_opened_under_its_number_is_left_alone(listener, waker):
    link = connect(listener.getsockname(), 10, waker)
    number = link.fileno()
    mine, others = socket.socketpair()
    os.dup2(mine.fileno(), number)
    others.sendall(b"the host's")
    with pytest.raises(OSError, match="the host has closed"):
        link.send([b"graph"], 10)
    with pytest.raises(OSError, match="the host has closed"):
        link.receive(10)
    link.close()
    assert os.read(number, 100) == b"the host's"
    os.close(number)
    mine.close()
    assert others.recv(10) == b""  # nothing was written
    others.close()


def test_its_own_descriptor_is_closed(listener, waker):
    link = connect(listener.getsockname(), 10, waker)
    number = link.fileno()
    link.close()
    assert file_id(number) is None


def test_nobody_there_is_an_error(waker):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        address = gone.getsockname()
    with pytest.raises(ConnectionRefusedError):
        connect(address, 10, waker)


def test_connecting_can_be_interrupted(waker):
    """A listener whose queue is full leaves a client in its handshake."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        fillers = []
        for _ in range(8):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
            fillers.append(filler)
        began = time.monotonic()
        timer = threading.Timer(0.1, waker.wake)
        timer.start()
        with pytest.raises(TimeoutError):
            connect(full.getsockname(), 600, waker)
        timer.join()
        assert time.monotonic() - began < 300
        for filler in fillers:
            filler.close()
