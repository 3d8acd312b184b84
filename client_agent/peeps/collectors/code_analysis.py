"""What a code object says about itself: active `with` and `finally` regions, and call sites.

Decides, from bytecode alone, which context managers have been entered at an instruction, which
locks a handler is bound to release, what a call operates on and how deep the value stack is there.
Knows no frame and no object: values are found by `expressions` and `value_stack`.

A `with` block is an entry of the exception table whose handler begins with WITH_EXCEPT_START; the
depth of that entry tells where the manager's bound exit method lies. An analysis takes a fraction
of a millisecond and is kept in a cache of bounded size, without any reference to the code object
or to its constants. CPython 3.11 to 3.13; on others `with` blocks are simply not found.
"""

import weakref
from collections.abc import Callable
from types import CodeType
from typing import NamedTuple

from .bytecode import Instructions, Region, exception_table, stack_depths

Expression = tuple[object, ...]
"""Names and attributes as they were written: ("name", n), ("global", n), ("attr", of, n),
("item", of, key), ("const", int or str)."""


class With(NamedTuple):
    """A `with` block."""

    depth: int
    """The manager's bound exit method is the value just below this depth."""
    manager: Expression | None
    """The manager, if it is written as names and attributes that the block does not rebind."""


class Active(NamedTuple):
    """What the regions around an instruction mean, outermost first."""

    withs: tuple[With, ...]
    """The `with` blocks entered."""
    releases: tuple[Expression, ...]
    """What the `finally` handlers call `.release()` on."""


NOTHING_ACTIVE = Active((), ())


class Site(NamedTuple):
    """An instruction in which a frame may be inside a C function."""

    kind: str
    """"call", or "with" for a manager that is being entered."""
    depth: int
    """Depth of the value stack before the instruction, all operands on it."""
    arguments: int
    has_names: bool
    """Whether something lies on top of the arguments: the names of keywords, or a dictionary."""
    target: Expression | None
    """What is called, or the manager that is entered, if it is written as names."""
    first: Expression | None
    """The first argument, if it is written as names."""
    keywords: tuple[str, ...] | None = ()
    """Names of the last arguments; None if the arguments are in one tuple (`f(*args)`)."""

    @property
    def base(self) -> int:
        """Position of the lower of the two slots that hold the callable and its `self`."""
        return self.depth - self.arguments - self.has_names - 2


def _slot_names(code: CodeType) -> list[str]:
    """Names of the variables in a frame, by position. A class scope may have one name twice."""
    name_of: Callable[[int], str] = code._varname_from_oparg  # type: ignore[attr-defined]
    names: list[str] = []
    try:
        while True:
            names.append(name_of(len(names)))
    except IndexError:
        return names


class CodeAnalysis:
    """What one code object says about itself. Made by `analyse`."""

    def __init__(self, code: CodeType) -> None:
        self._table = exception_table(code)
        self._withs: dict[int, With] | None = None
        self._releases: dict[int, tuple[Expression, ...]] = {}
        self._sites: dict[int, Site | None] = {}
        self._returns: frozenset[int] | None = None
        self._active: dict[int, Active] = {}
        names = _slot_names(code)
        self.slots = {name: position for position, name in enumerate(names)}
        """Variables by name, as positions in a frame; `slot_count` of them in all."""
        self.slot_count = len(names)
        self.cells = frozenset((*code.co_cellvars, *code.co_freevars))

    def active(self, code: CodeType, offset: int) -> Active:
        """What has been entered at an instruction, and what will be released behind it."""
        found = self._active.get(offset)
        if found is None:
            found = self._active[offset] = self._find_active(code, offset)
        return found

    def _find_active(self, code: CodeType, offset: int) -> Active:
        targets = self._active_handlers(offset)
        if not targets:
            return NOTHING_ACTIVE
        withs, releases = self._handlers(code)
        return Active(
            tuple(withs[target] for target in targets if target in withs),
            tuple(e for target in targets for e in releases.get(target, ())),
        )

    def site(self, code: CodeType, offset: int) -> Site | None:
        """The call at an instruction; None if a frame cannot be inside a C function there."""
        if offset not in self._sites:
            self._sites[offset] = _site(Instructions(code), self._table, offset)
        return self._sites[offset]

    def returns_at(self, code: CodeType, offset: int) -> bool:
        """Whether the instruction leaves the frame for good."""
        if self._returns is None:
            found = (i.offset for i in Instructions(code).all if i.name.startswith("RETURN_"))
            self._returns = frozenset(found)
        return offset in self._returns

    def _active_handlers(self, offset: int) -> list[int]:
        found: list[int] = []
        here = offset
        while True:
            for region in self._table:
                if region.start <= here < region.end and region.target not in found:
                    break
            else:
                break
            found.append(region.target)
            here = region.target
        found.reverse()
        return found

    def _handlers(
        self, code: CodeType
    ) -> tuple[dict[int, With], dict[int, tuple[Expression, ...]]]:
        if self._withs is None:
            instructions = Instructions(code)
            withs = _withs(instructions, self._table)
            others = {region.target for region in self._table} - withs.keys()
            self._releases = {t: found for t in others if (found := _releases(instructions, t))}
            self._withs = withs
        return self._withs, self._releases


_LIMIT = 4096
_cache: dict[int, tuple["weakref.ref[CodeType]", CodeAnalysis]] = {}


def analyse(code: CodeType) -> CodeAnalysis:
    """The analysis of a code object, from the cache if it was made before.

    The key is its identity: comparing code objects would read all of their constants.
    """
    entry = _cache.get(id(code))
    if entry is not None and entry[0]() is code:
        return entry[1]
    if len(_cache) >= _LIMIT:
        _cache.clear()
    analysis = CodeAnalysis(code)
    _cache[id(code)] = (weakref.ref(code), analysis)
    return analysis


# ------------------------------------------------------------------ with and finally


def _withs(ins: Instructions, table: list[Region]) -> dict[int, With]:
    """`with` blocks by the offset of their handler."""
    by_start = {region.start: region for region in reversed(table)}
    found = {}
    for k, instruction in enumerate(ins.all):
        if instruction.name == "BEFORE_WITH":
            body = k + 1
        elif instruction.name == "BEFORE_ASYNC_WITH":
            body = _after_await(ins, k + 1)
        else:
            continue
        for inside in ins.all[body : body + 3]:  # the region begins here, a NOP more or less
            region = by_start.get(inside.offset)
            if region is not None and _is_with_handler(ins, region.target):
                manager = _written_as_names(ins, k)
                if manager is not None and _is_rebound(ins, table, region.target, manager):
                    manager = None
                found[region.target] = With(region.depth, manager)
                break
    return found


def _after_await(ins: Instructions, k: int) -> int:
    while k < len(ins.all) and ins.name(k) not in ("END_SEND", "JUMP_BACKWARD_NO_INTERRUPT"):
        k += 1
    while ins.name(k) in (
        "END_SEND",
        "CLEANUP_THROW",
        "JUMP_BACKWARD_NO_INTERRUPT",
        "JUMP_BACKWARD",
    ):
        k += 1
    return k


def _is_with_handler(ins: Instructions, target: int) -> bool:
    k = ins.at.get(target, -1)
    return ins.name(k) == "PUSH_EXC_INFO" and ins.name(k + 1) == "WITH_EXCEPT_START"


def _is_rebound(
    ins: Instructions, table: list[Region], target: int, expression: Expression
) -> bool:
    """Whether the block stores to a name of the expression: it may mean another object by now."""
    names = _names_of(expression)
    bodies = [(region.start, region.end) for region in table if region.target == target]
    return any(
        i.name.startswith(("STORE_", "DELETE_"))
        and i.argval in names
        and any(start <= i.offset < end for start, end in bodies)
        for i in ins.all
    )


def _names_of(expression: Expression) -> set[object]:
    names: set[object] = set()
    for part in expression[1:]:
        names |= _names_of(part) if isinstance(part, tuple) else {part}
    return names


def _releases(ins: Instructions, target: int) -> tuple[Expression, ...]:
    """What a handler calls `.release()` on whatever happens: before any branch of its own."""
    found = []
    for k in range(ins.at.get(target, len(ins.all)), len(ins.all)):
        name = ins.name(k)
        if name == "RERAISE" or "JUMP" in name or name.startswith(("RETURN", "FOR_", "SEND")):
            break
        if name in _ATTRIBUTE and ins.all[k].argval == "release":
            expression = _written_as_names(ins, k)
            if expression is not None:
                found.append(expression)
    return tuple(found)


# ------------------------------------------------------------------ expressions

_SILENT = frozenset(("CACHE", "NOP", "PUSH_NULL", "PRECALL", "EXTENDED_ARG", "KW_NAMES"))
_NAME = frozenset(("LOAD_FAST", "LOAD_FAST_CHECK", "LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_NAME"))
_ATTRIBUTE = frozenset(("LOAD_ATTR", "LOAD_METHOD"))


class _Unclear(Exception):
    """Bytecode that is more than a chain of names."""


def _written_as_names(ins: Instructions, k: int) -> Expression | None:
    """The expression whose value is on top of the stack before position `k`, if it is names.

    Refused if control can enter in its middle: a conditional expression has two values.
    """
    try:
        expression, first = _expression_before(ins, k)
    except _Unclear:
        return None
    if any(ins.all[j].is_jump_target for j in range(first + 1, k + 1)):
        return None
    return expression


def _expression_before(ins: Instructions, k: int) -> tuple[Expression, int]:
    """That expression and the position where it begins. Raises _Unclear."""
    k -= 1
    while ins.name(k) in _SILENT:
        k -= 1
    name = ins.name(k)
    if name in _NAME:
        return ("name", ins.all[k].argval), k
    if name == "LOAD_GLOBAL":
        return ("global", ins.all[k].argval), k
    if name == "LOAD_CONST" and type(ins.all[k].argval) in (int, str):
        return ("const", ins.all[k].argval), k
    if name in _ATTRIBUTE:
        owner, first = _expression_before(ins, k)
        return ("attr", owner, ins.all[k].argval), first
    if name == "BINARY_SUBSCR":
        key, middle = _expression_before(ins, k)
        container, first = _expression_before(ins, middle)
        return ("item", container, key), first
    if name == "STORE_FAST" and ins.name(k - 1) == "COPY":  # (x := ...)
        return ("name", ins.all[k].argval), k
    raise _Unclear(name)


# ------------------------------------------------------------------ call sites


def _site(ins: Instructions, table: list[Region], offset: int) -> Site | None:
    k = ins.at.get(offset)
    if k is None:
        return None
    name = ins.name(k)
    if name not in ("BEFORE_WITH", "CALL", "PRECALL", "CALL_KW", "CALL_FUNCTION_EX"):
        return None
    depths = stack_depths(ins.code, table)
    depth = depths.get(offset)
    if depth is None:
        return None
    if name == "BEFORE_WITH":
        return Site("with", depth, 0, False, _written_as_names(ins, k), None)
    arguments = ins.all[k].argval
    assert isinstance(arguments, int)
    if name == "CALL" and ins.name(k - 1) == "PRECALL":
        k -= 1  # 3.11: PRECALL is said to have popped the arguments already
        depth += arguments
    if name == "CALL_FUNCTION_EX":  # one tuple of arguments, and perhaps a dictionary
        site = Site("call", depth, 1, bool(arguments & 1), None, None, None)
    else:
        keywords = _keywords(ins, k)
        site = Site("call", depth, arguments, name == "CALL_KW", None, None, keywords)
    after_callable = _where_depth_is(ins, depths, k, site.base + 2)
    if after_callable is None:
        return site
    first = None
    if arguments and name != "CALL_FUNCTION_EX":
        after_first = _where_depth_is(ins, depths, k, site.base + 3)
        first = None if after_first is None else _written_as_names(ins, after_first)
    return site._replace(target=_written_as_names(ins, after_callable), first=first)


def _keywords(ins: Instructions, k: int) -> tuple[str, ...]:
    """The names of keyword arguments of a call: up to 3.12 they have an instruction of their own,
    later they are a constant on top of the arguments."""
    holder = "LOAD_CONST" if ins.name(k) == "CALL_KW" else "KW_NAMES"
    names = ins.all[k - 1].argval if ins.name(k - 1) == holder else ()
    return tuple(map(str, names)) if isinstance(names, tuple) else ()


def _where_depth_is(ins: Instructions, depths: dict[int, int], k: int, depth: int) -> int | None:
    """The last position up to `k` before which the stack is `depth` deep."""
    for j in range(k, -1, -1):
        if depths.get(ins.all[j].offset) == depth and ins.at[ins.all[j].offset] == j:
            return j
    return None
