"""Who this process is: its name, its pid, and the origin that makes its node ids unique.

Decides the name when nobody gave one, and draws the random part of the origin (two containers
may share both name and pid). Refuses to know arguments: only the program's own name is looked
at, never what follows it.
"""

import os
import re
import sys
from dataclasses import dataclass

_NOT_KEY = re.compile(r"[^a-z0-9._-]")
_MAX_NAME_CHARS = 64


@dataclass(frozen=True, slots=True)
class Identity:
    """`name` as people read it; `origin` as node ids carry it: name, pid, six random digits."""

    name: str
    pid: int
    origin: str

    @property
    def proc_key(self) -> str:
        """The key that the daemon gives such a process (it tells twins apart by a suffix)."""
        return f"{_key(self.name)}-{self.pid}"


def make_identity(name: str | None = None) -> Identity:
    """The identity of this process, now: call it again in a forked child."""
    pid = os.getpid()
    chosen = (name or _own_name())[:_MAX_NAME_CHARS]
    return Identity(chosen, pid, f"{_key(chosen)}-{pid}-{os.urandom(3).hex()}")


def _own_name() -> str:
    """The program's name; a child of multiprocessing is called after the program above it."""
    argv, pid = sys.orig_argv, os.getpid()
    for _ in range(4):
        if not any(word.startswith("from multiprocessing.") for word in argv):
            break
        pid = _parent(pid)
        argv = _command_line(pid) or argv
    return program_name(argv)


def _parent(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - pathlib would be loaded
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0


def _command_line(pid: int) -> list[str]:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:  # noqa: PTH123
            words = file.read().split(b"\0")
    except OSError:
        return []
    return [word.decode(errors="replace") for word in words if word]


def program_name(orig_argv: list[str] | None = None) -> str:
    """The program's name: the script, the module after -m, or else the interpreter's own name.

    sys.argv does not exist yet when the start-up line runs, so the original command line is
    read; nothing but the program's name is taken from it.
    """
    argv = sys.orig_argv if orig_argv is None else orig_argv
    program = _program_word(argv)
    if program is None:
        return "python"
    parts = [part for part in program.split("/") if part] or ["python"]
    base = parts[-2] if parts[-1] == "__main__.py" and len(parts) > 1 else parts[-1]
    return base.removesuffix(".py").removesuffix(".pyc") or "python"


def _program_word(argv: list[str]) -> str | None:
    """The word of an interpreter's command line that names the program."""
    words = iter(argv[1:])
    for word in words:
        if word == "-m":
            module = next(words, None)
            return module.replace(".__main__", "") if module else None
        if word in ("-c", "-"):
            return None
        if word in ("-W", "-X", "--check-hash-based-pycs"):
            next(words, None)
        elif word.startswith(("-W", "-X")):
            continue
        elif not word.startswith("-"):
            return word
        elif not word.startswith("--") and "m" in word[1:-1] + word[-1:]:
            # Short options may be joined: -um package, -Impackage.
            letters = word[1:]
            cut = min((letters.index(c) for c in "mc" if c in letters), default=None)
            if cut is not None and letters[cut] == "m":
                return letters[cut + 1 :] or next(words, None)
            return None
        elif not word.startswith("--") and "c" in word:
            return None
    return None


def _key(name: str) -> str:
    return _NOT_KEY.sub("-", name.lower())
