"""`peeps run -- COMMAND`: a command with the agent switched on, in it and in its children.

Decides the environment and nothing else: the command replaces this process, so that signals and
exit status are its own.
"""

import os
import shutil

import click

from ..errors import BadRequest

DEFAULT_DASHBOARD = "127.0.0.1:9119"


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option(
    "--dashboard",
    metavar="HOST:PORT",
    help="Where the daemon listens [default: PEEPS_DASHBOARD, PEEPS_LISTEN or 127.0.0.1:9119].",
)
@click.option("--name", help="The name it shows itself by [default: from the program].")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(dashboard: str | None, name: str | None, command: tuple[str, ...]) -> None:
    """Run COMMAND so that it connects to the daemon: peeps run -- python app.py

    The Python that runs it needs the `peeps` package. Its children connect as well.
    """
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
