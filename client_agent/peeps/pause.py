"""Holding still: no garbage collection while the process is looked at. Decides nothing else."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Hold off collections: they would run finalisers of the host inside the cut.

    Several threads may do so at once; whoever found it on turns it on again.
    """
    was_on = gc.isenabled()
    if was_on:
        gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
