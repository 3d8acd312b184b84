"""Evaluate chains of names statically: no code of the host runs, whatever its classes define.

Decides what `self.pool.lock` or `locks["a"]` means in a frame, from module and class
dictionaries, instance attributes and slots. A property, `__getattr__`, a method or a container
of a class of the host's own has no static value. Knows bytecode only by its Expression, and
frames only by their namespaces.
"""

from collections.abc import Callable
from typing import Any

from ..statics import MISSING, class_attribute, static_get
from .code_analysis import Expression

Lookup = Callable[[str], object]
"""A local variable's value by its name. Raises KeyError."""


class Unknown(Exception):
    """There is no static value; the text says why."""


class Names:
    """The namespaces of one frame."""

    __slots__ = ("_builtins", "_globals", "_local")

    def __init__(self, local: Lookup, globals_: dict[str, Any], builtins: dict[str, Any]) -> None:
        self._local = local
        self._globals = globals_
        self._builtins = builtins

    def evaluate(self, expression: Expression) -> Any:
        """The value of an expression. Raises Unknown."""
        kind, first = expression[0], expression[1]
        if kind == "const":
            return first
        if kind == "name":
            try:
                return self._local(str(first))
            except KeyError:
                return self._global(str(first))
        if kind == "global":
            return self._global(str(first))
        assert isinstance(first, tuple)
        owner = self.evaluate(first)
        if kind == "attr":
            return attribute(owner, str(expression[2]))
        key = expression[2]
        assert isinstance(key, tuple)
        return _item(owner, self.evaluate(key))

    def _global(self, name: str) -> Any:
        for names in (self._globals, self._builtins):
            value = dict.get(names, name, MISSING)
            if value is not MISSING:
                return value
        raise Unknown(f"no global {name}")


def text(expression: Expression) -> str:
    """The expression as it was written: names that stand in the program's source."""
    kind, first = expression[0], expression[1]
    if kind == "const":
        return repr(first)
    if kind in ("name", "global"):
        return str(first)
    last = expression[2]
    assert isinstance(first, tuple)
    if kind == "attr":
        return f"{text(first)}.{last}"
    assert isinstance(last, tuple)
    return f"{text(first)}[{text(last)}]"


def attribute(owner: object, name: str) -> Any:
    """`owner.name` of a module, class or instance, if it is plain data. Raises Unknown."""
    if issubclass(type(owner), type):
        value = class_attribute(owner, name)  # type: ignore[arg-type]
        value = value.__func__ if type(value) is staticmethod else value
    else:
        on_class = class_attribute(type(owner), name)
        if type(on_class) is property:
            raise Unknown(f"{name} is computed")
        value = static_get(owner, name)
        if value is MISSING:
            value = on_class
            if class_attribute(type(on_class), "__get__") is not None:
                raise Unknown(f"{name} is computed")
    if value is None:
        raise Unknown(f"no attribute {name}")
    return value


def _item(owner: object, key: object) -> Any:
    if type(key) not in (int, str):
        raise Unknown("the key is not a plain one")
    try:
        if type(owner) is dict or (type(owner) in (list, tuple) and type(key) is int):
            return owner[key]  # type: ignore[index]
    except LookupError:
        raise Unknown("no such item") from None
    raise Unknown("not a plain container")
