"""Bytecode as CPython 3.11 to 3.13 has it: exception tables, instructions, stack depths.

Decides nothing about what a program means: it reads what the compiler wrote. See
Objects/exception_handling_notes.txt in CPython for the table's format.
"""

import dis
from collections.abc import Iterator
from types import CodeType
from typing import NamedTuple


class Region(NamedTuple):
    """An entry of the exception table. Offsets are in bytes; `end` is exclusive."""

    start: int
    end: int
    target: int
    depth: int
    pushes_offset: bool


def exception_table(code: CodeType) -> list[Region]:
    """The entries of `co_exceptiontable`, in the order in which the interpreter searches them."""
    numbers = _varints(code.co_exceptiontable)
    regions = []
    for start in numbers:
        length, target, depth = next(numbers), next(numbers), next(numbers)
        end = start + length
        regions.append(Region(start * 2, end * 2, target * 2, depth >> 1, bool(depth & 1)))
    return regions


def _varints(table: bytes) -> Iterator[int]:
    value = 0
    for byte in table:
        value = value << 6 | byte & 63
        if not byte & 64:
            yield value
            value = 0


class Instruction(NamedTuple):
    """One instruction, instructions that do two things at once taken apart."""

    name: str
    argval: object
    offset: int
    is_jump_target: bool


class Instructions:
    """The instructions of a code object, their positions by offset, and stack depths."""

    def __init__(self, code: CodeType) -> None:
        self.code = code
        self.all: list[Instruction] = []
        self.at: dict[int, int] = {}
        """Position of the first instruction at an offset."""
        for i in dis.get_instructions(code):
            self.at[i.offset] = len(self.all)
            parts = _SPLIT.get(i.opname)
            if parts is None:
                # 3.11 gives the number of the constant, not the names.
                value = code.co_consts[i.arg or 0] if i.opname == "KW_NAMES" else i.argval
                self.all.append(Instruction(i.opname, value, i.offset, i.is_jump_target))
            else:
                for name, value in zip(parts, i.argval, strict=True):
                    self.all.append(Instruction(name, value, i.offset, i.is_jump_target))

    def name(self, k: int) -> str:
        """The name of the instruction at a position; empty beyond either end."""
        return self.all[k].name if 0 <= k < len(self.all) else ""


_SPLIT = {
    "LOAD_FAST_LOAD_FAST": ("LOAD_FAST", "LOAD_FAST"),
    "STORE_FAST_LOAD_FAST": ("STORE_FAST", "LOAD_FAST"),
    "STORE_FAST_STORE_FAST": ("STORE_FAST", "STORE_FAST"),
}

_ENDS = frozenset(("RETURN_VALUE", "RETURN_CONST", "RERAISE", "RAISE_VARARGS", "INTERPRETER_EXIT"))
_ALWAYS_JUMPS = frozenset(("JUMP_FORWARD", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT"))
_JUMPS = frozenset((*dis.hasjrel, *dis.hasjabs))
_IS_GENERATOR = 0x20 | 0x80 | 0x200


def stack_depths(code: CodeType, table: list[Region]) -> dict[int, int]:
    """Depth of the value stack before each reachable instruction, by its offset.

    A generator's own frame begins with the one value that its first POP_TOP removes;
    RETURN_GENERATOR counts it from 3.13 on only.
    """
    instructions = list(dis.get_instructions(code))
    at = {i.offset: k for k, i in enumerate(instructions)}
    starts_with_value = bool(code.co_flags & _IS_GENERATOR) and not dis.stack_effect(
        dis.opmap["RETURN_GENERATOR"]
    )
    depths: dict[int, int] = {}
    work = [(0, int(starts_with_value))]
    work += [(r.target, r.depth + r.pushes_offset + 1) for r in table]
    while work:
        offset, depth = work.pop()
        for i in instructions[at.get(offset, len(instructions)) :]:
            if i.offset in depths:
                break
            depths[i.offset] = depth
            if i.opname in _ENDS:
                break
            if i.opcode in _JUMPS:
                work.append((i.argval, depth + _effect(i, jump=True)))
                if i.opname in _ALWAYS_JUMPS:
                    break
            depth += _effect(i, jump=False)
    return depths


def _effect(i: dis.Instruction, *, jump: bool) -> int:
    argument = i.arg if i.opcode >= dis.HAVE_ARGUMENT else None
    try:
        return dis.stack_effect(i.opcode, argument, jump=jump)
    except ValueError:
        return 0
