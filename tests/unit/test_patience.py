"""Whether a thread ran is asked of the kernel, of threads that surely did or did not."""

import itertools
import sys
import threading

import pytest

from peeps.collectors import patience
from peeps.collectors.patience import Watch, is_asleep

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")


@pytest.mark.parametrize("counter", ["_timeslices", "_switches"])
def test_who_ran_and_who_did_not(counter: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "times_scheduled", getattr(patience, counter))
    if patience.times_scheduled(threading.get_native_id()) in (0, None):
        pytest.skip("this kernel does not keep that count")
    ended = threading.Event()
    lock = threading.Lock()
    lock.acquire()
    stuck = threading.Thread(target=lock.acquire)

    def spin() -> None:
        while not ended.is_set():
            pass

    busy = threading.Thread(target=spin)
    stuck.start()
    busy.start()
    try:
        # Until the stuck one has reached its lock, it may still run a little.
        while (found := Watch([stuck.native_id, busy.native_id, None]).did_not_run()) == set():
            pass
        assert found == {stuck.native_id}
        assert is_asleep(stuck.native_id)
        assert not is_asleep(threading.get_native_id())
    finally:
        ended.set()
        lock.release()
        busy.join()
        stuck.join()


def test_nobody_is_watched_for_longer_than_everybody_needed_to_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counts = itertools.count()
    naps = []
    monkeypatch.setattr(patience, "times_scheduled", lambda _: next(counts))
    monkeypatch.setattr(patience.unpatched, "sleep", naps.append)
    assert Watch([1, 2]).did_not_run() == set()
    assert naps == [patience._SLICE_S]


def test_threads_that_are_gone_are_not_believed() -> None:
    assert not is_asleep(999_999_999)
    assert Watch([999_999_999]).did_not_run() == set()
