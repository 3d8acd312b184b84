"""Called by the start-up line (peeps-autostart.pth) when PEEPS_DASHBOARD is set.

Decides whether to start in this process at all: not in Python's own helper processes, not in
installers. Whatever goes wrong stays here: a start-up line that raises would print a traceback
into somebody's program.
"""

import sys

_HELPERS = (
    "from multiprocessing.resource_tracker import",
    "from multiprocessing.semaphore_tracker import",
)
"""What the programs given to `-c` by multiprocessing for its own helpers begin with."""

_FORK_SERVER = "from multiprocessing.forkserver import"
"""The fork server runs nothing of the host, but its children do."""

_TOOLS = frozenset({"pip", "ensurepip", "venv", "virtualenv", "compileall", "build", "peeps"})
_COMMANDS = frozenset({"pip", "pip3", "peepsd", "peeps"})


def should_start(argv: list[str]) -> bool:
    """Whether a process with this original command line is one to look into."""
    words = argv[1:]
    is_value = False  # of an option whose value is the next word
    for index, word in enumerate(words):
        if is_value:
            is_value = False
            continue
        if word == "-c":
            program = words[index + 1] if index + 1 < len(words) else ""
            return not program.startswith(_HELPERS)
        if word == "-m":
            module = words[index + 1] if index + 1 < len(words) else ""
            return module.partition(".")[0] not in _TOOLS
        if word in ("-W", "-X", "--check-hash-based-pycs"):
            is_value = True
            continue
        if not word.startswith("-"):
            return word.rpartition("/")[2] not in _COMMANDS
    return True


def is_fork_server(argv: list[str]) -> bool:
    """Whether this process will only fork those that matter."""
    return any(word.startswith(_FORK_SERVER) for word in argv[1:])


def boot() -> None:
    """Start the agent, or do nothing."""
    try:
        if is_fork_server(sys.orig_argv):
            from ._api import start_in_children

            start_in_children()
        elif should_start(sys.orig_argv):
            from . import start

            start()
    except Exception:  # nothing may reach the host, not even the reason
        pass


boot()
