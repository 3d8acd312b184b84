"""Commands about snapshots and time: jump, snapshots, events, connections, diff, stuck,
record-snapshots.

Decides when the next snapshot is taken. Refuses to know how one is.
"""

import sys
import time

import click

from ..errors import PeepsError
from . import completions, show_answers, show_lists
from .options import Asking, Duration, asking, need_live
from .output import safe


@click.command()
@click.option("--timeout-ms", type=click.IntRange(1, 60_000), help="How long to wait for answers.")
@asking(at=False, fresh=False)
def jump(ask: Asking, timeout_ms: int | None) -> None:
    """Take a snapshot of every connected process now."""
    need_live(ask, "taking a snapshot")
    with ask.out.busy("asking every process"):
        summary = ask.source.jump(timeout_ms)
    ask.show(summary, show_lists.jumped)


@click.command()
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@asking(at=False, fresh=False)
def snapshots(ask: Asking, limit: int) -> None:
    """List stored snapshots as a timeline, newest first."""
    ask.show(ask.ask("snapshots", limit=limit), show_lists.snapshots)


@click.command()
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@asking(at=False, fresh=False)
def events(ask: Asking, limit: int) -> None:
    """List what was received and could not be used, newest first: who was refused, and why.

    Those of one snapshot, and those of none. Alike ones within a minute are one line with a
    count. docs/protocol.md says what each kind costs.
    """
    ask.show(ask.ask("events", limit=limit), show_lists.events)


@click.command()
@asking(at=False, fresh=False)
def connections(ask: Asking) -> None:
    """List the processes that are connected now."""
    need_live(ask, "listing connections")
    ask.show(ask.source.connections(), show_lists.connections)


@click.command()
@click.argument(
    "before", type=click.IntRange(min=1), required=False, shell_complete=completions.snapshots
)
@click.argument(
    "after", type=click.IntRange(min=1), required=False, shell_complete=completions.snapshots
)
@asking(at=False, fresh=False)
def diff(ask: Asking, before: int | None, after: int | None) -> None:
    """Show what changed from snapshot BEFORE to AFTER, and what waits in both.

    Without AFTER, up to the latest; without both, between the last two.
    """
    ask.show(ask.ask("diff", before=before, after=after), show_answers.diff)


@click.command()
@click.option(
    "--last", "count", type=click.IntRange(2, 100), default=3, show_default=True,
    help="In how many snapshots.",
)  # fmt: skip
@asking(fresh=False)
def stuck(ask: Asking, count: int) -> None:
    """Show what waits on the same thing in each of the last snapshots, and since when."""
    answer = ask.ask("stuck", snapshot_id=ask.snapshot_id(), count=count)
    ask.show(answer, show_answers.stuck)


@click.command("record-snapshots")
@click.option("--every", type=Duration(), default="2s", show_default=True, help="Pause between.")
@click.option("--for", "duration", type=Duration(), default="1m", show_default=True)
@asking(at=False, fresh=False)
def record_snapshots(ask: Asking, every: float, duration: float) -> None:
    """Take a snapshot again and again, for a while, into the daemon's database.

    `peeps snapshots` then shows them as a timeline, `peeps stuck` what did not move, and
    `peeps diff A B` what did. A snapshot that fails is said and does not end the recording.
    """
    need_live(ask, "recording")
    started = time.monotonic()
    taken = failed = number = 0
    while number * every < duration or number == 0:
        time.sleep(max(0.0, started + number * every - time.monotonic()))
        try:
            summary = ask.source.jump()
        except PeepsError as exc:
            failed += 1
            click.echo(f"peeps: {safe(exc.message)}", err=True)
        else:
            taken += 1
            ask.show(summary, show_lists.jumped_briefly)
        # Whoever is too slow for the rhythm skips beats instead of piling them up.
        number = max(number + 1, int((time.monotonic() - started) // every))
    sys.exit(0 if taken and not failed else 3)
