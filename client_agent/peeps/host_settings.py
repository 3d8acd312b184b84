"""One setting of the interpreter that the agent changes for moments, and the host's own value.

Decides which value applies and that the host's own comes back, wherever a signal handler of the
host raised meanwhile. Refuses to know what the setting is for.
"""

import sys
from collections.abc import Callable, Hashable
from types import CodeType
from typing import NamedTuple

from . import unpatched


class _Holder(NamedTuple):
    ident: int
    code: CodeType | None
    """Of the function that holds, if one does: who has left it without a word holds no more."""
    value: int


class HostSetting:
    """Several may hold a setting at once, in several threads; the last to come has its way.

    What the host had is written down before anything is changed, and no value that may be ours
    is ever taken for the host's. Handlers of signals run in the main thread between any two
    instructions, so one that raises can cut short each of these methods: then a state is left
    that the next call, or `repair`, makes good.
    """

    def __init__(self, read: Callable[[], int], write: Callable[[int], None]) -> None:
        self._read = read
        self._write = write
        self._lock = unpatched.allocate_lock()
        self._holders: dict[Hashable, _Holder] = {}
        self._host = 0
        """The host's own value, while there are some of ours."""
        self._ours: set[int] = set()
        """What we set, or were about to set, since the host's own was last in place."""

    def value(self) -> int:
        """What applies now, whoever has set it."""
        return self._read()

    def hold(self, key: Hashable, value: int, code: CodeType | None) -> None:
        """Have `value` apply until `release(key)`, or until this thread has left `code`."""
        with self._lock:
            now = self._read()
            if now not in self._ours:
                self._host = now
            self._holders[key] = _Holder(unpatched.get_ident(), code, value)
            self._ours.add(value)
            self._write(value)

    def release(self, key: Hashable) -> None:
        """Undo `hold(key)`; may be called twice, and for a key that does not hold."""
        with self._lock:
            if self._holders.pop(key, None) is not None or not self._holders:
                self._settle()

    def repair(self) -> None:
        """Release for those who were kept from doing so. To be called from the agent's thread,
        where no handlers run."""
        if not self._holders and not self._ours:
            return
        with self._lock:
            for key, holder in list(self._holders.items()):
                if not _is_inside(holder):
                    del self._holders[key]
            self._settle()

    def forget_after_fork(self) -> None:
        """In a forked child: the threads that held it are not there."""
        self._lock = unpatched.allocate_lock()
        self._holders.clear()
        self._settle()

    def _settle(self) -> None:
        now = self._read()
        if now in self._ours:  # else the host has set another meanwhile
            last = next(reversed(self._holders.values()), None)
            wanted = self._host if last is None else last.value
            if wanted != now:
                self._write(wanted)
        if not self._holders:
            self._ours.clear()


def _is_inside(holder: _Holder) -> bool:
    """Whether the holder's thread still runs the function that holds."""
    if holder.code is None:
        return True
    is_own = holder.ident == unpatched.get_ident()
    frame = sys._getframe() if is_own else sys._current_frames().get(holder.ident)
    while frame is not None:
        if frame.f_code is holder.code:
            return True
        frame = frame.f_back
    return False
