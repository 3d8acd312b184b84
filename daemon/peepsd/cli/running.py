"""`peeps run`: a command with the agent switched on, in it and in its children.

Decides the environment and nothing else: the command replaces this process, so that signals and
exit status are its own. Standard library only: where the agent alone is installed this works.
"""

import getopt
import os
import shutil
import sys
from collections.abc import Sequence
from typing import NoReturn

from ..errors import BadRequest

DEFAULT_DASHBOARD = "127.0.0.1:9119"

WHAT = "Run COMMAND so that it connects to the daemon: peeps run -- python app.py"
MORE = "The Python that runs it needs the `peeps` package. Its children connect as well."
DASHBOARD_HELP = (
    "Where the daemon listens [default: PEEPS_DASHBOARD, PEEPS_LISTEN or 127.0.0.1:9119]."
)
NAME_HELP = "The name it shows itself by [default: from the program]."

USAGE = "Usage: peeps run [OPTIONS] COMMAND..."
HELP = f"""{USAGE}

  {WHAT}

  {MORE}

Options:
  --dashboard HOST:PORT  {DASHBOARD_HELP}
  --name TEXT            {NAME_HELP}
  -h, --help             Show this message and exit.
"""


def main(words: Sequence[str]) -> None:
    """`peeps run` followed by these words. Exit status: the command's; 2 wrong usage; 3 it could
    not be started."""
    try:
        given, command = getopt.getopt(list(words), "h", ["help", "dashboard=", "name="])
    except getopt.GetoptError as exc:
        _leave(f"{USAGE}\n\nError: {exc.msg}", 2)
    options = dict(given)
    if "-h" in options or "--help" in options:
        sys.stdout.write(HELP)
        return
    if not command:
        _leave(f"{USAGE}\n\nError: Missing argument 'COMMAND...'.", 2)
    try:
        launch(options.get("--dashboard"), options.get("--name"), command)
    except BadRequest as exc:
        _leave(f"peeps: {exc.message}", 3)


def launch(dashboard: str | None, name: str | None, command: Sequence[str]) -> None:
    """Become that command. Raises BadRequest if it cannot be run."""
    environment = dict(os.environ)
    environment["PEEPS_DASHBOARD"] = (
        dashboard
        or environment.get("PEEPS_DASHBOARD")
        or environment.get("PEEPS_LISTEN")
        or DEFAULT_DASHBOARD
    )
    if name is not None:
        environment["PEEPS_PROCESS_NAME"] = name
    program = shutil.which(command[0])
    if program is None:
        raise BadRequest(f"there is no program {command[0]!r}")
    try:
        os.execve(program, list(command), environment)
    except OSError as exc:
        raise BadRequest(f"cannot run {program}: {exc.strerror}") from exc


def _leave(text: str, status: int) -> NoReturn:
    sys.stderr.write(f"{text}\n")
    raise SystemExit(status)
