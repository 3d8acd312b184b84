"""What a collector is. One collector knows one library or one kind of thing.

`capture` runs while the process holds still. It must be quick, must not run code of the host
(no property, no `__repr__`, no `__eq__` of foreign classes: see statics.py), must not keep a
reference to anything of the host, and may fail object by object: an object that vanishes or
looks odd costs itself, never the rest. `build` runs afterwards, without hurry.
"""

import types
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ..cut import Cut, Seen
from ..graph import Graph, Ref


class Collector(Protocol):
    """Looks at one thing, in two halves."""

    name: str

    def applies(self) -> bool:
        """Whether there is anything to look at: cheap, usually a look into sys.modules."""
        ...

    def prepare(self, cut: Cut) -> None:
        """Before the cut, in the agent's thread: load what is needed, register hooks."""
        ...

    def capture(self, cut: Cut) -> Any:
        """Inside the cut, in the agent's thread: note down plain tuples."""
        ...

    def build(self, captured: Any, graph: Graph, seen: Seen) -> None:
        """After the cut: what was noted becomes nodes and edges."""
        ...


class Loop(Protocol):
    """An event loop that was found running in some thread."""

    ref: Ref
    library: str
    ident: int
    """The thread that runs it."""

    def place_if_parked(self, cut: Cut) -> object | None:
        """A token of where it sleeps in its selector, comparable later; None if it does not."""
        ...

    def due_in(self) -> float | None:
        """Seconds until it wakes up by itself; None if nothing is due, or that is not told."""
        ...

    def task_count(self) -> int:
        """About how many tasks it has, at no cost."""
        ...

    def ready_count(self) -> int:
        """How much waits in its queue to be run."""
        ...

    def step(self, cut: Cut) -> object | None:
        """A token of the one callback or step that the loop is inside of now, comparable later."""
        ...

    def frame_around_step(self, cut: Cut) -> types.FrameType | None:
        """The loop's own frame, if its thread is inside of a callback or step now."""
        ...

    def turn_began_ago(self, cut: Cut) -> float | None:
        """Seconds since the loop's current iteration began, by its own clock; None if untold."""
        ...

    def ask(self, work: Callable[[], None], *, is_quick: bool = False) -> Callable[[], None]:
        """Have the loop run `work` between two steps if it turns, without ever waking it.

        Returns what takes the wish back.
        """
        ...


class LoopCollector(Collector, Protocol):
    """A collector whose tasks live in event loops, each of which gets its own cut."""

    def loops(self, cut: Cut) -> Sequence[Loop]:
        """The loops that run now."""
        ...

    def capture_loop(self, loop: Loop, cut: Cut) -> Any:
        """As `capture`, for one loop, in whichever thread the cut is taken."""
        ...
