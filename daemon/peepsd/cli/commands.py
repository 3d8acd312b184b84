"""The table of `peeps` commands. Decides names, where each is defined, and exit statuses.

A command's module is imported only when it runs or is asked for help, so that `peeps` starts
fast. Refuses to know what any command does.

Exit status: 0 answered; 1 `deadlocks` or `check` found something; 2 wrong usage; 3 the question
could not be asked or answered (no daemon, no snapshot, ambiguous name).
"""

import importlib
import sys
from collections.abc import Sequence

import click

from ..errors import PeepsError

COMMANDS: dict[str, tuple[str, str]] = {
    # name: ("module under peepsd.cli:attribute", what it does, for the list)
    "why": ("ask_commands:why", "Say why something does not go on."),
    "deadlocks": ("ask_commands:deadlocks", "List deadlocks; exit status 1 if there is one."),
    "check": ("ask_commands:check", "Look for everything that is wrong; for CI."),
    "tree": ("ask_commands:tree", "Draw tasks, task groups and threads."),
    "waits": ("ask_commands:waits", "List who waits for what."),
    "blockers": ("ask_commands:blockers", "Rank what others wait for."),
    "stack": ("ask_commands:stack", "Show one task or thread with its stack and edges."),
    "jump": ("time_commands:jump", "Take a snapshot now."),
    "snapshot": ("time_commands:jump", "The same as jump."),
    "snapshots": ("time_commands:snapshots", "List stored snapshots as a timeline."),
    "connections": ("time_commands:connections", "List connected processes."),
    "ps": ("time_commands:connections", "The same as connections."),
    "diff": ("time_commands:diff", "Show what changed between two snapshots."),
    "stuck": ("time_commands:stuck", "Show what has waited through the last snapshots."),
    "events": ("time_commands:events", "List what was received and could not be used."),
    "record-snapshots": ("time_commands:record_snapshots", "Take snapshots for a while."),
    "sql": ("data_commands:sql", "Run one SELECT over a snapshot."),
    "query": ("data_commands:query", "Run a named query."),
    "export": ("data_commands:export", "Write a snapshot as dot, graphml, mermaid, ..."),
    "share": ("data_commands:share", "Write one snapshot as a file to open anywhere."),
    "run": ("run_command:run", "Run a command with the agent switched on."),
    "mcp": ("mcp_command:mcp", "Serve these answers to a language model, on stdio."),
    "completion": ("completion_command:completion", "Print a shell's completion script."),
    "record": ("feed_commands:record", "Record what observers are told, into a file."),
    "replay": ("feed_commands:replay", "Serve a recording as if it happened now."),
    "inspect": ("feed_commands:inspect", "Say what is in a recording."),
    "watch": ("feed_commands:watch", "Watch processes, traffic and events live."),
}

CANNOT_ASK = 3


class LazyGroup(click.Group):
    """A group whose commands are imported on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(f".{module}", __package__), attribute)
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> None:
        """Run a command; whoever reads its output may leave before it ends."""
        from .output import until_nobody_reads

        with until_nobody_reads():
            super().invoke(ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list, without importing every command for its help."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("--db", metavar="FILE", help="Read a database file; also after the command.")
@click.option("--url", metavar="URL", help="The daemon to ask; also after the command.")
@click.version_option(package_name="peeps", prog_name="peeps")
def group(db: str | None, url: str | None) -> None:
    """What is every process doing, and what is it waiting for, right now?

    Exit status: 0 the question was answered; 1 `deadlocks` or `check` found something; 2 wrong
    usage; 3 could not ask.
    """  # db and url are read by options.asking


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `peeps`; errors are told on standard error, with an exit status."""
    try:
        group.main(arguments, prog_name="peeps", standalone_mode=True)
    except PeepsError as exc:
        from .output import safe

        first, *more = exc.message.splitlines()
        for line in [f"peeps: {first}", *more, *([f"  {exc.hint}"] if exc.hint else [])]:
            click.echo(safe(line), err=True)
        sys.exit(exc.exit_status if exc.exit_status == 2 else CANNOT_ASK)
