"""Places in source code: noted inside the cut as two numbers, told as file and line after it.

Decides how a code object and an instruction offset become (file, line, function, module).
Inside the cut only `note` runs: one dictionary entry. Refuses to know tasks and threads.
"""

import sys
import types
from collections.abc import Iterable, Mapping

from .graph import Place

Spot = tuple[int, int]
"""A noted place: id of a code object, byte offset of the instruction being executed."""


class Places:
    """Places noted in the cut. Several threads may note at once."""

    def __init__(self) -> None:
        # Code objects are constants of the program; they are kept until the graph is built, so
        # that an id is not used twice meanwhile.
        self._codes: dict[int, types.CodeType] = {}
        self._resolved: dict[Spot, Place] = {}
        self._modules: dict[str, str] | None = None

    def note(self, code: types.CodeType, lasti: int) -> Spot:
        """Note a place: `lasti` is the offset of the instruction being executed."""
        code_id = id(code)
        self._codes[code_id] = code
        return (code_id, lasti)

    def adopt(self, codes: Mapping[int, types.CodeType]) -> None:
        """Note many code objects at once, by id."""
        self._codes.update(codes)

    def absorb(self, other: "Places") -> None:
        """Take in what another part of the same cut noted."""
        self._codes.update(other._codes)

    def code(self, spot: Spot) -> types.CodeType:
        """The code object of a noted place."""
        return self._codes[spot[0]]

    def resolve(self, spot: Spot) -> Place:
        """Where that is: for people, after the cut."""
        place = self._resolved.get(spot)
        if place is None:
            code = self._codes[spot[0]]
            file = code.co_filename
            place = (file, line_at(code, spot[1]), code.co_qualname, self._module(file))
            self._resolved[spot] = place
        return place

    def stack(self, spots: Iterable[Spot]) -> list[Place]:
        """Several places, in the order given (outermost first by convention)."""
        return [self.resolve(spot) for spot in spots]

    def _module(self, file: str) -> str:
        if self._modules is None:
            self._modules = _modules_by_file()
        return self._modules.get(file, "")


def line_at(code: types.CodeType, lasti: int) -> int:
    """The line of the instruction at byte offset `lasti`; the function's first line if unknown."""
    for start, end, line in code.co_lines():
        if start <= lasti < end and line is not None:
            return line
    return code.co_firstlineno


def _modules_by_file() -> dict[str, str]:
    found: dict[str, str] = {}
    for name, module in list(sys.modules.items()):
        if type(module) is types.ModuleType:
            file = module.__dict__.get("__file__")
            if type(file) is str:
                found.setdefault(file, name)
    return found
