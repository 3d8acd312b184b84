"""Variables of frames of libraries that run loops, by name.

Decides how they are read: in place, as all frames are (frame_values). Only where that is not
possible, on interpreters where memory is not read, by `f_locals`, which leaves a dictionary on the
frame up to Python 3.12: of frames of asyncio and trio, that keep what it keeps for as long anyway.
Refuses to know what the variables mean.
"""

import types
from typing import Any

from ..statics import MISSING
from .expressions import Unknown
from .frame_values import View, reads_stacks


def variable(frame: types.FrameType, name: str) -> Any:
    """The value of a variable; MISSING if it has none, or the frame has moved on."""
    try:
        if reads_stacks():
            return View(frame).variable(name)
        return frame.f_locals.get(name, MISSING)
    except (KeyError, Unknown):
        return MISSING
