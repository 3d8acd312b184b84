"""What one connection may say, and when.

Decides who is admitted: everybody at once if there is no token; with a token, who says a hello
that carries it. Refuses to know streams and time. A transition table of two states:

    state     hello, right token   hello, wrong or no token   second hello   anything else
    new       admitted             refused                    -              refused
    admitted  noted                noted                      problem        taken
"""

import hmac
from dataclasses import dataclass
from enum import Enum

from .reply import HelloMessage


class Answer(Enum):
    """What to do with a message."""

    TAKE = "take"
    REFUSE = "refuse"
    """Close: the peer did not show the token."""
    REPEATED = "repeated"
    """A second hello: put it on record, change nothing."""


@dataclass(slots=True)
class Session:
    """The state of one connection."""

    token: str | None = None
    """The secret that a hello must carry; None: nobody needs one."""
    said_hello: bool = False
    _admitted: bool = False

    @property
    def is_admitted(self) -> bool:
        """Whether this peer takes part in snapshots."""
        return self.token is None or self._admitted

    def hello(self, message: HelloMessage) -> Answer:
        """The peer introduced itself."""
        if self.said_hello:
            return Answer.REPEATED
        if self.token is not None and not self._matches(message.token):
            return Answer.REFUSE
        self.said_hello = self._admitted = True
        return Answer.TAKE

    def other(self) -> Answer:
        """The peer sent anything but a hello."""
        return Answer.TAKE if self.is_admitted else Answer.REFUSE

    def _matches(self, offered: str | None) -> bool:
        assert self.token is not None
        return hmac.compare_digest((offered or "").encode(), self.token.encode())
