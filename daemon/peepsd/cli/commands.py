"""The table of `peeps` commands. Decides names and where each is defined.

A command's module is imported only when it runs or is asked for help, so that `peeps` starts
fast. Refuses to know what any command does.
"""

import importlib
import sys

import click

from ..errors import PeepsError

COMMANDS: dict[str, str] = {
    # name: "module under peepsd.cli:attribute"
}


class LazyGroup(click.Group):
    """A group whose commands are imported on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        target = COMMANDS.get(cmd_name)
        if target is None:
            return None
        module, _, attribute = target.partition(":")
        command = getattr(importlib.import_module(f".{module}", __package__), attribute)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="peeps")
def group() -> None:
    """What is every process doing, and what is it waiting for, right now?"""


def main() -> None:
    """Run `peeps`; errors are one line on standard error and an exit status."""
    try:
        group.main(standalone_mode=True)
    except PeepsError as exc:
        click.echo(f"peeps: {exc.message}", err=True)
        if exc.hint:
            click.echo(f"  {exc.hint}", err=True)
        sys.exit(exc.exit_status)
