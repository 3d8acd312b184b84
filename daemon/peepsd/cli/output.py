"""Words on a terminal, or in a pipe.

Decides colours (on a terminal only), that nothing a process called itself can steer the terminal,
tables, and the spinner. Refuses to know what is said.
"""

import os
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click
import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPE_WIDTH = 10_000
"""A pipe has no width: nothing is wrapped or cut there."""

_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def safe(value: object) -> str:
    """`value` as text without control and format characters; those are shown escaped."""
    text = "" if value is None else str(value)
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c.encode("unicode_escape").decode() if unicodedata.category(c) in _UNSAFE else c
        for c in text
    )


def write_to_nobody() -> None:
    """Whoever read has seen enough (`| head`): what is still written goes nowhere, and the exit
    status stays what it is."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


@contextmanager
def until_nobody_reads() -> Iterator[None]:
    """Write, and care for no reader that leaves."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        write_to_nobody()


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Go on instead of ending with status 1."""
        self.quiet = True
        write_to_nobody()


class Out:
    """Where a command writes."""

    def __init__(self) -> None:
        is_terminal = sys.stdout.isatty()
        self.console = _Console(
            file=sys.stdout,
            width=None if is_terminal else PIPE_WIDTH,
            highlight=False,
            markup=False,
            emoji=False,
            soft_wrap=True,
        )

    def line(self, *parts: str | tuple[str, str]) -> None:
        """One line made of texts and (text, style) pairs, each made safe."""
        text = Text()
        for part in parts:
            words, style = (part, "") if isinstance(part, str) else part
            text.append(safe(words), style)
        self.console.print(text, soft_wrap=True)

    def json(self, value: Any) -> None:
        """`value` as JSON; readable on a terminal, one line in a pipe."""
        option = orjson.OPT_INDENT_2 if sys.stdout.isatty() else 0
        click.echo(orjson.dumps(value, option=option).decode())

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Rows under column names."""
        table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
        for column in columns:
            table.add_column(Text(safe(column)), overflow="fold")
        for row in rows:
            table.add_row(*(Text(safe(value)) for value in row))
        for line in self._rendered(table):
            self.console.print(line, soft_wrap=True)

    def _rendered(self, table: Table) -> Iterator[Text]:
        for segments in self.console.render_lines(table, pad=False):
            line = Text()
            for segment in segments:
                line.append(segment.text, segment.style or "")
            line.rstrip()
            yield line

    @contextmanager
    def busy(self, what: str) -> Iterator[None]:
        """A spinner on standard error while something takes long; nothing in a pipe."""
        if not sys.stderr.isatty():
            yield
            return
        with Console(stderr=True).status(safe(what)):
            yield
