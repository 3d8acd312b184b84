"""Commands about one moment: why, deadlocks, check, blockers, waits, tree, stack.

Decides when a second look is needed and the exit status. Refuses to know how answers are found
and worded.
"""

import sys

import click

from ..asking.second_look import confirmed_by_before
from ..asking.source import Json
from . import completions, show_answers, show_lists
from .options import Asking, asking

FOUND = 1
"""Exit status: something is wrong. (0: nothing; 2: wrong usage; 3: could not ask.)"""


@click.command()
@click.argument(
    "subject", required=False, metavar="[NAME|ID|PROCESS]", shell_complete=completions.subjects
)
@asking()
def why(ask: Asking, subject: str | None) -> None:
    """Say why something does not go on: the chain of waits down to its root.

    SUBJECT is a task's or thread's name (or a part of it), a node's id, a process (name, key or
    pid), or PROCESS/NAME. Without one, the worst that can be seen is explained.
    """
    answer = _why(ask, subject)
    ask.show(answer, show_answers.why)


def _why(ask: Asking, subject: str | None) -> Json:
    at = ask.snapshot_id()
    answer = ask.ask("why", snapshot_id=at, subject=subject)
    if answer["deadlock"] is None:
        return answer
    if (second := ask.second_look()) is None:
        return confirmed_by_before(ask.ask, "why", answer)
    # A moment is not a deadlock: whatever is still there tells.
    start = answer["subject"]["id"] if subject is None else subject
    return ask.ask("why", snapshot_id=at, subject=start, confirm_with=second)


@click.command()
@click.option(
    "--confirm/--no-confirm", default=True, help="Look twice when asking a daemon [default]."
)
@asking()
def deadlocks(ask: Asking, confirm: bool) -> None:
    """List deadlocks: who waits for whom in a circle, and who waits behind them.

    Asking a daemon looks twice and shows only what is still there. Exit status 1: there is one.
    """
    at = ask.snapshot_id()
    answer = ask.ask("deadlocks", snapshot_id=at)
    if answer["deadlocks"] and confirm:
        answer = _confirmed(ask, "deadlocks", answer)
    ask.show(answer, show_answers.deadlocks)
    sys.exit(FOUND if answer["deadlocks"] else 0)


def _confirmed(ask: Asking, question: str, answer: Json) -> Json:
    """The answer again, confirmed by a second look; of a stored one, by the snapshot before."""
    if (second := ask.second_look()) is not None:
        return ask.ask(question, snapshot_id=answer["snapshot_id"], confirm_with=second)
    return confirmed_by_before(ask.ask, question, answer)


@click.command()
@click.option("--confirm/--no-confirm", default=True, help="Look twice [default].")
@click.option("--sql", "with_sql", is_flag=True, help="Show the query that found each.")
@asking()
def check(ask: Asking, confirm: bool, with_sql: bool) -> None:
    """Look for everything that is known to go wrong, the gravest first.

    For CI: exit status 0 if nothing is wrong, 1 if something is. What is only a hint (severity
    info, or low confidence) is shown and does not count.
    """
    answer = ask.ask("check", snapshot_id=ask.snapshot_id())
    if answer["findings"] and confirm:
        answer = _confirmed(ask, "check", answer)
    ask.show(answer, lambda out, found: show_answers.check(out, found, with_sql=with_sql))
    sys.exit(0 if answer["ok"] else FOUND)


@click.command()
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@asking()
def blockers(ask: Asking, limit: int) -> None:
    """Rank what others wait for, by how many wait for it directly and through others."""
    answer = ask.ask("blockers", snapshot_id=ask.snapshot_id(), limit=limit)
    ask.show(answer, show_answers.blockers)


@click.command()
@click.argument("process", required=False, shell_complete=completions.processes)
@click.option("--limit", type=click.IntRange(1, 100_000), default=500, show_default=True)
@asking()
def waits(ask: Asking, process: str | None, limit: int) -> None:
    """List who waits for what, in one process or in all."""
    answer = ask.ask("waits", snapshot_id=ask.snapshot_id(), process=process, limit=limit)
    ask.show(answer, show_lists.waits)


@click.command()
@click.argument("process", required=False, shell_complete=completions.processes)
@asking()
def tree(ask: Asking, process: str | None) -> None:
    """Draw the tasks, task groups and threads of a process, or of all."""
    answer = ask.ask("tree", snapshot_id=ask.snapshot_id(), process=process)
    ask.show(answer, show_lists.tree)


@click.command()
@click.argument("subject", metavar="NAME|ID", shell_complete=completions.subjects)
@asking()
def stack(ask: Asking, subject: str) -> None:
    """Show one task, thread or other node: its stack with source lines, and its edges."""
    answer = ask.ask("node", snapshot_id=ask.snapshot_id(), subject=subject)
    ask.show(answer, show_lists.node)
