"""The C functions in which threads block, by identity.

Decides which functions of the interpreter and its extension modules count as blocking calls. Only
modules that the host has loaded are looked at: nobody can be inside of another one. Refuses to
know what a call waits for (`threads` does).
"""

import sys
from types import BuiltinFunctionType, CodeType
from typing import Any

from ..rules import find_code
from ..statics import class_attribute

_METHODS: dict[tuple[str, str], tuple[str, ...]] = {
    ("_thread", "LockType"): ("acquire", "acquire_lock", "__enter__"),
    ("_thread", "RLock"): ("acquire", "__enter__", "_acquire_restore"),
    ("_thread", "_ThreadHandle"): ("join",),
    ("_queue", "SimpleQueue"): ("get",),
    ("_multiprocessing", "SemLock"): ("acquire", "__enter__"),
    ("_socket", "socket"): (
        "recv",
        "recv_into",
        "recvfrom",
        "recvfrom_into",
        "recvmsg",
        "recvmsg_into",
        "send",
        "sendall",
        "sendto",
        "sendmsg",
        "connect",
        "connect_ex",
        "_accept",
    ),
    ("_ssl", "_SSLSocket"): ("read", "write", "do_handshake", "shutdown"),
    ("select", "epoll"): ("poll",),
    ("select", "poll"): ("poll",),
    ("_io", "FileIO"): ("read", "readinto", "readall", "write"),
    ("_io", "BufferedReader"): ("read", "readline", "readinto", "read1", "peek"),
    ("_io", "BufferedWriter"): ("write", "flush"),
    ("_io", "TextIOWrapper"): ("read", "readline", "write", "flush"),
    ("uvloop.loop", "Loop"): ("run_until_complete", "run_forever"),
}
_FUNCTIONS: dict[str, tuple[str, ...]] = {
    "time": ("sleep",),
    "select": ("select",),
    "posix": ("waitpid", "wait", "wait3", "wait4", "waitid", "read", "write", "open", "fsync"),
    "_socket": ("getaddrinfo", "gethostbyname", "gethostbyaddr", "getnameinfo"),
    "fcntl": ("flock", "lockf"),
    "signal": ("sigwait", "sigwaitinfo", "pause"),
    "_signal": ("sigwait", "sigwaitinfo", "pause"),
    "builtins": ("input", "open"),
    "io": ("open",),
}

methods: dict[int, Any] = {}
"""Known method descriptors by id. They live as long as their types do, which are kept here."""
_PLAIN = (
    ("_thread", "LockType"),
    ("_thread", "RLock"),
    ("_queue", "SimpleQueue"),
    ("_multiprocessing", "SemLock"),
)
plain_types: dict[int, type] = {}
"""Types of those by id whose instances come to an end without running code of anybody."""
functions: dict[int, Any] = {}
"""Known functions by id."""


def refresh() -> None:
    """Look at the modules that were loaded since. Cheap; not for the cut all the same."""
    for (module, name), wanted in _METHODS.items():
        cls = _loaded(module, name)
        for method in wanted if isinstance(cls, type) else ():
            descriptor = class_attribute(cls, method)
            if descriptor is not None:
                methods[id(descriptor)] = descriptor
        if isinstance(cls, type) and (module, name) in _PLAIN:
            plain_types[id(cls)] = cls
    for module, wanted in _FUNCTIONS.items():
        for name in wanted:
            function = _loaded(module, name)
            if type(function) is BuiltinFunctionType:
                functions[id(function)] = function


def has_method(cls: type, name: str) -> bool:
    """Whether `name`, as instances of `cls` have it, is one of the known methods."""
    return id(class_attribute(cls, name)) in methods


def find_code_in(module: str, qualname: str) -> CodeType | None:
    """The code of a library's function, if the library is loaded and has it."""
    found = sys.modules.get(module)
    return None if found is None else find_code(found, qualname)


def _loaded(module: str, name: str) -> Any:
    found = sys.modules.get(module)
    if found is None:
        return None
    if (module, name) == ("select", "poll"):  # the type has no public name
        return type(found.poll()) if hasattr(found, "poll") else None
    if (module, name) == ("_thread", "LockType"):
        return type(found.allocate_lock())
    return vars(found).get(name)
