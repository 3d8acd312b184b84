"""Reading attributes of the host's objects without running any of the host's code.

Decides what can be read: instance dictionaries, slots, and getters written in C. Properties,
`__getattr__` and methods of the host are never called: they could block, raise or change
something. Returns MISSING instead of raising.
"""

import types
from typing import Any, Final

from .signal_handlers import is_from_signal_handler

MISSING: Final = object()
# Descriptors of `type` itself: a metaclass has its own idea of what its classes answer.
_TYPE_DICT = type.__dict__["__dict__"].__get__
_TYPE_MODULE = type.__dict__["__module__"].__get__
_TYPE_QUALNAME = type.__dict__["__qualname__"].__get__
name_of: Final = type.__dict__["__name__"].__get__
"""The name of a class."""
bases_of: Final = type.__dict__["__mro__"].__get__
"""A class and its bases, in the order in which attributes are looked up."""


def static_get(obj: object, name: str) -> Any:
    """The attribute `name` of `obj` if it is plain data, else MISSING."""
    cls = type(obj)
    on_class = class_attribute(cls, name)
    if type(on_class) is types.MemberDescriptorType or type(on_class) is types.GetSetDescriptorType:
        try:
            return on_class.__get__(obj, cls)
        except AttributeError:  # an unset slot
            return MISSING
        except Exception as exc:  # a C getter that refuses
            return _missing(exc)
    try:
        if on_class is None:
            # Nothing on the class, so this reads the instance's dictionary and nothing else;
            # some C types have one without showing it as `__dict__`.
            return object.__getattribute__(obj, name)
        own = class_attribute(cls, "__dict__")  # a host's class may have put a property there
        if type(own) is not types.GetSetDescriptorType:
            return MISSING
        attributes = own.__get__(obj, cls)
    except AttributeError:
        return MISSING
    except Exception as exc:
        return _missing(exc)
    if type(attributes) is not dict:
        return MISSING
    return attributes.get(name, MISSING)


def _missing(exc: Exception) -> Any:
    if is_from_signal_handler(exc):
        raise exc
    return MISSING


def static_path(obj: object, path: str) -> Any:
    """As static_get along a dotted path."""
    for name in path.split("."):
        obj = static_get(obj, name)
        if obj is MISSING:
            return MISSING
    return obj


def class_attribute(cls: type, name: str) -> Any:
    """What the classes of the method resolution order define under `name`, unbound; or None."""
    for base in bases_of(cls):
        value = _TYPE_DICT(base).get(name)
        if value is not None:
            return value
    return None


def module_of(cls: type) -> str:
    """The name of a class's module; empty if it has none."""
    try:
        module = _TYPE_MODULE(cls)
    except AttributeError as exc:
        if is_from_signal_handler(exc):
            raise
        return ""
    return module if type(module) is str else ""


def class_name(obj: object) -> str:
    """The bare name of an object's type."""
    name: str = name_of(type(obj))
    return name


def class_module(obj: object) -> str:
    """The module of an object's type; empty if it has none."""
    return module_of(type(obj))


def is_a(obj: object, cls: type) -> bool:
    """isinstance() without asking the object for its `__class__`. For classes of libraries."""
    return issubclass(type(obj), cls)


def has_on_class(obj: object, name: str) -> bool:
    """Whether a class of the object defines `name`."""
    return class_attribute(type(obj), name) is not None


def type_name(obj: object) -> str:
    """ "module.QualName" of an object's type."""
    return type_name_of(type(obj))


def type_name_of(cls: type) -> str:
    """ "module.QualName" of a type."""
    module = _TYPE_DICT(cls).get("__module__")
    name: str = _TYPE_QUALNAME(cls)
    return f"{module}.{name}" if type(module) is str and module != "builtins" else name
