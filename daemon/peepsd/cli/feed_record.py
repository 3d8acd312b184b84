"""The file that `peeps record` writes.

Decides that what was there is kept until the first message comes, and what is left behind when
none does. Refuses to know where messages come from.
"""

import os
import stat
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

from ..errors import ConfigError, PeepsError
from ..feed.recording import RecordingWriter


class RecordingFile:
    """Open from the start, so that a wrong name is told before anybody waits for a recording."""

    def __init__(self, path: Path, *, force: bool) -> None:
        """Raises ConfigError if there is such a file and not `force`, PeepsError if it cannot be
        written."""
        self._path = path
        self._was_there = path.exists()
        self._writer: RecordingWriter | None = None
        flags = os.O_WRONLY | os.O_CREAT | (0 if force else os.O_EXCL)
        try:
            self._file = os.fdopen(os.open(path, flags, 0o666), "wb")
        except FileExistsError:
            raise ConfigError(f"{path} exists", hint="choose another name, or --force") from None
        except OSError as exc:
            self._fail(exc)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Raises PeepsError if the last bytes cannot be written."""
        try:
            if exc is None and not self._was_there:
                self._begun()  # a recording in which nothing happened
            self._file.close()
        except OSError as error:
            self._fail(error)
        if self._writer is None and not self._was_there:
            self._path.unlink(missing_ok=True)

    @property
    def messages(self) -> int:
        """How many have been written."""
        return self._writer.messages if self._writer else 0

    @property
    def size(self) -> int:
        """How many bytes."""
        return self._writer.bytes if self._writer else 0

    def write(self, message: bytes) -> None:
        """Append one message, at once. Raises PeepsError."""
        try:
            self._begun().write(message)
            self._file.flush()
        except OSError as exc:
            self._fail(exc)

    def _begun(self) -> RecordingWriter:
        if self._writer is None:
            if stat.S_ISREG(os.fstat(self._file.fileno()).st_mode):
                self._file.truncate(0)
            self._writer = RecordingWriter(self._file)
        return self._writer

    def _fail(self, exc: OSError) -> NoReturn:
        raise PeepsError(f"cannot write {self._path}: {exc.strerror}") from None
