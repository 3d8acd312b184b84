import os
import select
import threading
import time

from peeps.cpu_time import about_to_wake, is_runnable, thread_cpu_ns


def test_a_thread_that_computes_uses_time_and_one_that_waits_does_not():
    release = threading.Event()
    waits = threading.Thread(target=release.wait)
    waits.start()
    me, idle = threading.get_ident(), waits.ident
    try:
        time.sleep(0.01)
        before = thread_cpu_ns(me), thread_cpu_ns(idle)
        end = time.thread_time() + 0.02
        while time.thread_time() < end:
            pass
        after = thread_cpu_ns(me), thread_cpu_ns(idle)
        assert after[0] - before[0] >= 20_000_000
        assert after[1] == before[1]
        assert is_runnable(threading.get_native_id())
        assert not is_runnable(waits.native_id)
    finally:
        release.set()
        waits.join()


def test_a_thread_that_is_not_there_is_not_runnable():
    assert not is_runnable(None)
    assert not is_runnable(1 << 30)


def test_who_sleeps_in_an_epoll_with_events_is_about_to_wake():
    read, write = os.pipe()
    with select.epoll() as poller:
        poller.register(read, select.EPOLLIN)
        assert not about_to_wake(poller)
        os.write(write, b"x")
        assert about_to_wake(poller)
    os.close(read)
    os.close(write)
    assert not about_to_wake(object())
