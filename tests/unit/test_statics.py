import asyncio

import pytest

from peeps.statics import MISSING, static_get, static_path, type_name


class Slotted:
    __slots__ = ("set_one", "unset")

    def __init__(self):
        self.set_one = 1


class Nosy:
    default = "class"

    def __init__(self):
        self.__dict__["plain"] = {"x": 1}
        self.__dict__["default"] = "instance"
        self.__dict__["hidden"] = "below the property"

    @property
    def loud(self):
        raise AssertionError("a property was called")

    @property
    def hidden(self):
        raise AssertionError("a property was called")

    def __getattr__(self, name):
        raise AssertionError("__getattr__ was called")


asked = []


class Proxy:
    __slots__ = ()
    default = "class"

    @property
    def __dict__(self):
        asked.append(self)
        return {"default": "of another"}


@pytest.mark.parametrize(
    ("make", "name", "expected"),
    [
        (Slotted, "set_one", 1),
        (Slotted, "unset", MISSING),
        (Slotted, "no_such", MISSING),
        (Nosy, "plain", {"x": 1}),
        (Nosy, "default", "instance"),
        (Nosy, "loud", MISSING),
        (Nosy, "no_such", MISSING),
        (Nosy, "hidden", "below the property"),
        (lambda: 1, "real", 1),
        (lambda: None, "x", MISSING),
    ],
)
def test_plain_data_is_read_and_no_code_of_the_host_runs(make, name, expected):
    found = static_get(make(), name)
    assert found is expected or found == expected


def test_a_c_type_that_hides_its_dictionary_is_read_too():
    loop = asyncio.new_event_loop()
    try:
        future = asyncio.tasks._GatheringFuture(["child"], loop=loop)
        assert static_get(future, "_children") == ["child"]
    finally:
        loop.close()


def test_paths_and_type_names():
    outer = Slotted()
    outer.set_one = Slotted()
    assert static_path(outer, "set_one.set_one") == 1
    assert static_path(outer, "set_one.unset.more") is MISSING
    assert type_name(outer) == f"{__name__}.Slotted"
    assert type_name(1) == "int"


def test_a_dictionary_that_is_a_property_of_the_host_is_not_asked_for():
    assert static_get(Proxy(), "default") is MISSING
    assert asked == []
