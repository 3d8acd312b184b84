"""What all commands share: where to ask, which snapshot, and JSON instead of words.

Decides the common flags and when a fresh snapshot is taken: asking a daemon without --at looks at
the processes as they are now. Refuses to know what is asked.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

import click

from ..asking.source import CONFIRM_AFTER_S, Json, Source, open_source
from ..errors import BadRequest
from . import completions
from .output import Out, until_nobody_reads

F = Callable[..., Any]

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}


class Duration(click.ParamType[float]):
    """500ms, 2s, 1m, 1h; a bare number is seconds."""

    name = "duration"

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Seconds, more than none."""
        if isinstance(value, float):
            return value
        match = _DURATION.fullmatch(value.strip())
        if match is None or (found := float(match[1]) * _UNITS[match[2]]) <= 0:
            self.fail(f"{value!r} is no duration; write 500ms, 2s, 1m or 1h", param, ctx)
        return found


@dataclass(slots=True)
class Asking:
    """One run of a command: whom it asks, about which snapshot, and how it shows the answer."""

    source: Source
    out: Out
    as_json: bool
    at: int | None
    fresh: bool
    """A snapshot is taken first."""

    def ask(self, question: str, **args: Any) -> Json:
        """The answer, with a spinner while it takes long."""
        with self.out.busy("reading the snapshot"):
            return self.source.ask(question, **args)

    def snapshot_id(self) -> int | None:
        """The snapshot that is asked about; None: the latest there is."""
        if self.at is None and self.fresh:
            self.at = self.jump()["snapshot_id"]
        return self.at

    def jump(self) -> Json:
        """Take a snapshot."""
        with self.out.busy("asking every process"):
            return self.source.jump()

    def second_look(self) -> int | None:
        """The id of a second snapshot, taken a moment after the first; None: there is nobody to
        look at again."""
        if not self.fresh:
            return None
        time.sleep(CONFIRM_AFTER_S)
        with self.out.busy("looking a second time"):
            found = self.source.jump()["snapshot_id"]
        assert isinstance(found, int)
        return found

    def show(self, answer: Json, render: Callable[[Out, Json], None]) -> None:
        """`answer` as JSON or in words."""
        with until_nobody_reads():
            if self.as_json:
                self.out.json(answer)
            else:
                render(self.out, answer)


def _at(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is None or value == "latest" or (value.isascii() and value.isdigit()):
        return value
    raise click.BadParameter("a snapshot's number, or 'latest'")


def asking(*, at: bool = True, fresh: bool = True) -> Callable[[F], F]:
    """Give a command its `Asking` as first argument, and the common flags.

    at: it is about one snapshot. fresh: without --at, a daemon is made to take one first.
    """

    def decorate(command: F) -> F:
        @wraps(command)
        def run(
            json_: bool, db: str | None, url: str | None, at_: str | None = None, **rest: Any
        ) -> Any:
            context = click.get_current_context()
            before = context.find_root().params  # peeps --db FILE why
            source = open_source(db or before.get("db"), url or before.get("url"))
            context.call_on_close(source.close)
            wanted = int(at_) if at_ and at_ != "latest" else None
            take = fresh and source.is_live and at_ is None
            return command(Asking(source, Out(), json_, wanted, take), **rest)

        flags = [
            click.option("--json", "json_", is_flag=True, help="JSON for programs."),
            click.option(
                "--db", metavar="FILE", help="Read a database file instead of asking a daemon."
            ),
            click.option(
                "--url",
                metavar="URL",
                help="The daemon to ask [default: PEEPS_URL, or http://127.0.0.1:9130].",
            ),
        ]
        if at:
            what = "this moment" if fresh else "the latest"
            flags.append(
                click.option(
                    "--at",
                    "at_",
                    metavar="ID",
                    callback=_at,
                    shell_complete=completions.moments,
                    help="A stored snapshot, by number or 'latest' [default: "
                    + (f"{what}; the latest of a file]." if fresh else f"{what}]."),
                )
            )
        for flag in reversed(flags):
            run = flag(run)
        return run

    return decorate


def need_live(asking: Asking, what: str) -> None:
    """Refuse what only a daemon can do."""
    if not asking.source.is_live:
        raise BadRequest(f"{what} needs a running peepsd, not a file: leave --db out")
