"""Waiting with descriptors that the host may close and use again."""

import os
import threading

from peeps.waker import Waker, file_id


def test_woken_before_or_while_it_waits():
    waker = Waker()
    waker.wake()
    assert not waker.wait(60)
    thread = threading.Timer(0.05, waker.wake)
    thread.start()
    assert not waker.wait(60)
    thread.join()
    waker.close()


def test_a_ready_descriptor_is_told():
    waker = Waker()
    read, write = os.pipe()
    assert not waker.wait(0, read)
    os.write(write, b"x")
    assert waker.wait(60, read)
    for fd in (read, write):
        os.close(fd)
    waker.close()


def test_what_the_host_opened_under_its_numbers_is_left_alone():
    waker = Waker()
    numbers = waker._read, waker._write
    read, write = os.pipe()
    os.dup2(read, numbers[0])
    os.dup2(write, numbers[1])
    waker.wake()
    os.set_blocking(numbers[0], False)
    os.write(numbers[1], b"the host's")
    waker.wake()
    assert os.read(numbers[0], 100) == b"the host's"
    os.write(numbers[1], b"more")
    assert not waker.wait(0.01)
    assert waker._read not in numbers  # it has opened others
    waker.wake()
    assert not waker.wait(60)
    waker.close()
    assert os.read(numbers[0], 100) == b"more"
    for fd in (read, write, *numbers):
        os.close(fd)


def test_closed_descriptors_are_replaced_and_closed_once():
    waker = Waker()
    os.close(waker._read)
    assert not waker.wait(0)
    waker.wake()
    assert not waker.wait(60)
    numbers = waker._read, waker._write
    waker.close()
    assert [file_id(fd) for fd in numbers] == [None, None]
    waker.close()
