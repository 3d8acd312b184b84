"""Every error that peepsd shows to somebody, with the HTTP status and exit status that fit.

A message says what is wrong and what to do about it. Imports nothing, so that anybody may.
"""

from typing import ClassVar


class PeepsError(Exception):
    """An error to be shown as it is. `hint` says what to do, if the message does not."""

    status: ClassVar[int] = 500
    exit_status: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigError(PeepsError):
    """A setting is wrong or unknown."""

    exit_status = 2


class CannotListen(PeepsError):
    """An address is taken, or not one of this machine's."""


class BadRequest(PeepsError):
    """The request cannot be understood."""

    status = 400


class NotFound(PeepsError):
    """There is no such snapshot, node or process."""

    status = 404


class Ambiguous(PeepsError):
    """A name fits several things; the message lists them."""

    status = 409


class TooLarge(PeepsError):
    """The answer would be larger than anybody wants to hold in memory."""

    status = 413


class TooManyRequests(PeepsError):
    """Everything that could serve this is busy; trying again helps."""

    status = 429


class NobodyConnected(PeepsError):
    """A snapshot of nothing was asked for."""

    status = 503


class StoreError(PeepsError):
    """The database refused; the daemon goes on."""

    status = 503


class SchemaVersionError(StoreError):
    """The database was written by a newer peepsd."""

    exit_status = 2
