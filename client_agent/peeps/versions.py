"""On which interpreters the insides were verified, and why not elsewhere. Decides nothing else.

What reads value stacks and suspended frames relies on facts of CPython 3.11 to 3.13 with the
interpreter lock. Elsewhere the agent says "unknown", with this reason, instead of guessing.
"""

import sys
import sysconfig

FIRST, LAST = (3, 11), (3, 13)


def why_unverified(
    version: tuple[int, int] | None = None, implementation: str | None = None
) -> str | None:
    """Why value stacks are not read here; None where that was verified."""
    found = sys.version_info[:2] if version is None else version
    name = sys.implementation.name if implementation is None else implementation
    if name != "cpython":
        return f"{name} keeps its frames in another way than CPython"
    if not FIRST <= found <= LAST:
        told = ".".join(map(str, found))
        return f"Python {told} was not verified (3.11 to 3.13 were)"
    return why_unsafe()


def why_unsafe() -> str | None:
    """Why not even frames of other threads may be read here; None where they may."""
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return "a free-threaded build: nothing holds still while it is looked at"
    return None
