"""The ways in which an observer can be served, as data.

A mode is chosen by path and generation; everything that depends on it reads one of its fields.
Decides nothing else: emitters, queues and configuration are the same for all.
"""

import enum
from dataclasses import dataclass

from .framing import Framing
from .generation import Generation


class Source(enum.IntEnum):
    """What can be asked for. The numbers are those of both generations on the wire."""

    STATE = 0
    RUNTIME = 1
    EVENTS = 2
    TRACE = 3


class WrongSource(ValueError):
    """A source that there is not, or not for what was asked; the text is for people."""


PUSHABLE = (Source.STATE, Source.EVENTS, Source.TRACE)
PULLABLE = (Source.STATE, Source.RUNTIME)


def to_push(number: int) -> Source:
    """The source of this number, which can be pushed. Raises WrongSource."""
    return _one_of(PUSHABLE, number, "pushed")


def to_pull(number: int) -> Source:
    """The source of this number, which can be pulled. Raises WrongSource."""
    return _one_of(PULLABLE, number, "pulled")


def _one_of(allowed: tuple[Source, ...], number: int, how: str) -> Source:
    try:
        source = Source(number)
    except ValueError:
        raise WrongSource(f"there is no source {number}") from None
    if source not in allowed:
        names = ", ".join(s.name for s in allowed)
        raise WrongSource(f"{source.name} cannot be {how}; {names} can")
    return source


@dataclass(frozen=True, slots=True)
class Mode:
    """How one sort of observer is served."""

    framing: Framing
    greeting: tuple[Source, ...]
    """Sent once, unasked."""
    pushes: tuple[Source, ...]
    """Emitters that run from the greeting on."""
    hello_required: bool
    pause_covers_all: bool
    """A pause halts every emitter, whichever source it names."""


@dataclass(frozen=True, slots=True)
class Path:
    """One URL path, and the modes it offers."""

    url: str
    modes: dict[Generation, Mode]
    first_frame_wait_s: float
    """How long to wait for a first frame before greeting, to learn the generation by it. After
    that the client is served as one that listens only, which those of signals do."""

    @property
    def unasked(self) -> Mode:
        """The mode of a client that has not said anything yet."""
        return self.modes[Generation.SIGNAL]


INTROSPECT = Path(
    url="/introspect",
    first_frame_wait_s=0.0,
    modes={
        Generation.SIGNAL: Mode(
            framing=Framing.BARE,
            greeting=(Source.RUNTIME, Source.STATE),
            pushes=(),
            hello_required=False,
            pause_covers_all=False,
        ),
        Generation.COMMAND: Mode(
            framing=Framing.BARE,
            greeting=(Source.RUNTIME, Source.STATE),
            pushes=(),
            hello_required=True,
            pause_covers_all=True,
        ),
    },
)
"""The contract of the specification: greeted at once, then pull, or push on request."""

OBSERVER = Path(
    url="/observer",
    first_frame_wait_s=0.3,
    modes={
        Generation.SIGNAL: Mode(
            framing=Framing.PREFIXED,
            greeting=(Source.RUNTIME, Source.STATE),
            pushes=(Source.STATE, Source.EVENTS),
            hello_required=False,
            pause_covers_all=True,
        ),
        Generation.COMMAND: Mode(
            framing=Framing.PREFIXED,
            greeting=(),
            pushes=(),
            hello_required=True,
            pause_covers_all=True,
        ),
    },
)
"""What deployed observer tools expect of the servers they know."""

PATHS = (INTROSPECT, OBSERVER)
