"""Reading attributes of the host's objects without running any of the host's code.

Decides what can be read: instance dictionaries, slots, and getters written in C. Properties,
`__getattr__` and methods of the host are never called: they could block, raise or change
something. Returns MISSING instead of raising.
"""

import types
from typing import Any, Final

from .signal_handlers import is_from_signal_handler

MISSING: Final = object()
_TYPE_DICT = type.__dict__["__dict__"].__get__


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
        attributes = object.__getattribute__(obj, "__dict__")
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
    for base in type.__getattribute__(cls, "__mro__"):
        value = _TYPE_DICT(base).get(name)
        if value is not None:
            return value
    return None


def type_name(obj: object) -> str:
    """ "module.QualName" of an object's type."""
    return type_name_of(type(obj))


def type_name_of(cls: type) -> str:
    """ "module.QualName" of a type."""
    module = _TYPE_DICT(cls).get("__module__")
    name = cls.__qualname__
    return f"{module}.{name}" if type(module) is str and module != "builtins" else name
