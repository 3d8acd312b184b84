"""Who a process says it is, made safe to store, print and use as a key.

Decides names, proc_keys and how twins are told apart. Refuses to know connections.
Names are NFC, without control or format characters, at most
128 bytes (they reach terminals, file names and pages).
"""

import re
import unicodedata
from collections.abc import Container

MAX_NAME_BYTES = 128
UNKNOWN_PROCESS = "unknown"

_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_NOT_KEY = re.compile(r"[^a-z0-9._-]")


def safe_text(text: str, max_bytes: int) -> str:
    """`text` in NFC, unprintable characters replaced by U+FFFD, cut to `max_bytes` of UTF-8."""
    cut = text[:max_bytes]  # normalising unbounded input is slow
    clean = "".join(
        "\ufffd" if unicodedata.category(c) in _UNSAFE_CATEGORIES else c
        for c in unicodedata.normalize("NFC", cut)
    )
    return clean.encode()[:max_bytes].decode(errors="ignore")


def safe_name(name: str) -> str:
    """A process name fit to be shown; "unknown" if nothing is left of it."""
    return safe_text(name, MAX_NAME_BYTES).strip() or UNKNOWN_PROCESS


def base_key(process: str, pid: int | None, connection_id: int) -> str:
    """proc_key before twins are told apart: sanitised name, '-', pid.

    A connection that has not told its pid is keyed by its number, marked as such.
    """
    name = _NOT_KEY.sub("-", process.lower())
    return f"{name}-{pid}" if pid is not None else f"{name}-conn{connection_id}"


def unique_key(base: str, taken: Container[str]) -> str:
    """`base`, or `base` with the smallest suffix ~2, ~3, ... that nobody has.

    "~" cannot occur in a sanitised name, so a suffix is never mistaken for part of one.
    """
    if base not in taken:
        return base
    n = 2
    while f"{base}~{n}" in taken:
        n += 1
    return f"{base}~{n}"
