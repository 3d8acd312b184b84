"""Places in source code: noted inside the cut as two numbers, told as file and line after it.

Decides how a code object and an instruction offset become (file, line, function, module).
Inside the cut only `note` runs: two dictionary look-ups. Refuses to know tasks and threads.
"""

import sys
import types

from .graph import Place


class Places:
    """Interned places. A number stands for one instruction of one code object."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[int, int], int] = {}
        # Code objects are constants of the program; they are kept until the graph is built, so
        # that an id is not used twice meanwhile.
        self._noted: list[tuple[types.CodeType, int]] = []
        self._resolved: dict[int, Place] = {}
        self._modules: dict[str, str] | None = None

    def note(self, code: types.CodeType, lasti: int) -> int:
        """The number of a place: `lasti` is the offset of the instruction being executed."""
        key = (id(code), lasti)
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._noted)
            self._noted.append((code, lasti))
        return number

    def code(self, number: int) -> types.CodeType:
        """The code object of a noted place."""
        return self._noted[number][0]

    def resolve(self, number: int) -> Place:
        """Where that is: for people, after the cut."""
        place = self._resolved.get(number)
        if place is None:
            code, lasti = self._noted[number]
            file = code.co_filename
            place = (file, line_at(code, lasti), code.co_qualname, self._module(file))
            self._resolved[number] = place
        return place

    def stack(self, numbers: tuple[int, ...] | list[int]) -> list[Place]:
        """Several places, in the order given (outermost first by convention)."""
        return [self.resolve(number) for number in numbers]

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
