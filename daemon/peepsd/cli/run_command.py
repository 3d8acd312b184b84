"""`peeps run` in the table of commands, for its help and for shells. Decides nothing: running does,
and is called without this wherever `run` is the first word.
"""

import click

from . import running


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    help=f"{running.WHAT}\n\n{running.MORE}",
)
@click.option("--dashboard", metavar="HOST:PORT", help=running.DASHBOARD_HELP)
@click.option("--name", help=running.NAME_HELP)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(dashboard: str | None, name: str | None, command: tuple[str, ...]) -> None:
    """Become the command."""
    running.launch(dashboard, name, command)
