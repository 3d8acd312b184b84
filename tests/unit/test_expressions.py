"""Static evaluation: the right object or none, and never a line of the host's code."""

import threading
from functools import cached_property
from typing import Any

import pytest

from peeps.collectors.expressions import Names, Unknown, attribute, text


class Hostile:
    """Anything that would run would raise."""

    lock: Any = threading.Lock()

    def __init__(self) -> None:
        self.own = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        pytest.fail("__getattr__ ran")

    @property
    def computed(self) -> Any:
        pytest.fail("a property ran")

    @cached_property
    def cached(self) -> Any:
        pytest.fail("a cached property ran")

    def method(self) -> None:
        pytest.fail("a method ran")

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        pytest.fail("__class__ ran")


class HostileDict(dict[str, Any]):
    def __getitem__(self, key: str) -> Any:
        pytest.fail("__getitem__ ran")


class Slotted:
    __slots__ = ("lock", "unset")

    def __init__(self) -> None:
        self.lock = threading.Lock()


class World:
    """Not at module level: pytest asks module attributes questions."""

    def __init__(self) -> None:
        self.hostile: Any = Hostile()
        self.lock = self.hostile.own
        self.slotted = Slotted()
        local = {
            "me": self.hostile,
            "slotted": self.slotted,
            "i": 0,
            "locks": [self.lock],
            "bad": HostileDict(),
        }
        self.names = Names(
            local.__getitem__,
            {"module": threading, "Class": Hostile, "table": {"a": self.lock}},
            {"builtin": len},
        )


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def test_values(world: World) -> None:
    me, slotted = ("name", "me"), ("name", "slotted")
    for expression, written, value in [
        (me, "me", world.hostile),
        (("attr", me, "own"), "me.own", world.lock),
        (("attr", me, "lock"), "me.lock", Hostile.lock),
        (("attr", ("global", "Class"), "lock"), "Class.lock", Hostile.lock),
        (("attr", slotted, "lock"), "slotted.lock", world.slotted.lock),
        (("attr", ("global", "module"), "Lock"), "module.Lock", threading.Lock),
        (("item", ("name", "locks"), ("name", "i")), "locks[i]", world.lock),
        (("item", ("global", "table"), ("const", "a")), "table['a']", world.lock),
        (("name", "builtin"), "builtin", len),
    ]:
        assert world.names.evaluate(expression) is value, written
        assert text(expression) == written


@pytest.mark.parametrize(
    "expression",
    [
        ("name", "nowhere"),
        ("attr", ("name", "me"), "computed"),
        ("attr", ("name", "me"), "cached"),
        ("attr", ("name", "me"), "method"),
        ("attr", ("name", "me"), "missing"),
        ("attr", ("name", "slotted"), "unset"),
        ("item", ("name", "bad"), ("const", "a")),
        ("item", ("name", "locks"), ("const", 5)),
        ("item", ("name", "locks"), ("name", "me")),
        ("item", ("name", "me"), ("const", 0)),
    ],
)
def test_refused(world: World, expression: Any) -> None:
    with pytest.raises(Unknown):
        world.names.evaluate(expression)


def test_a_property_hides_what_the_instance_has_under_its_name() -> None:
    hostile: Any = Hostile()
    object.__getattribute__(hostile, "__dict__")["computed"] = 1
    with pytest.raises(Unknown):
        attribute(hostile, "computed")
