"""Holding still: no garbage collection while the process is looked at. Decides nothing else."""

import gc
import sys

from .host_settings import HostSetting

_threshold = HostSetting(lambda: gc.get_threshold()[0], gc.set_threshold)

repair = _threshold.repair
forget_after_fork = _threshold.forget_after_fork


class no_garbage_collection:
    """Hold off collections: they would run finalisers of the host inside the cut.

    By the threshold, not by gc.disable(): a host that asks meanwhile whether collection is on,
    or turns it off, must neither be told a lie nor be overruled afterwards. Several threads may
    do so at once; the last one to leave sets the threshold back.
    """

    def __enter__(self) -> None:
        try:
            _threshold.hold(self, 0, sys._getframe(1).f_code)
        except BaseException:  # by a signal handler of the host
            _threshold.release(self)
            raise

    def __exit__(self, *_: object) -> None:
        _threshold.release(self)
