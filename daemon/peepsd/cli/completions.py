"""What a shell is offered when somebody presses TAB: processes, tasks, snapshots.

Decides what is asked of the daemon, or of the file after --db, and that a shell is neither kept
waiting nor told of a failure: there is nothing to offer then. Refuses to know shells.
"""

import re
from collections.abc import Callable, Iterable
from contextlib import closing
from typing import Any

import click

from ..asking.source import Source, open_source

PATIENCE_S = 1.0
OFFERED = 100

_PLAIN = re.compile(r"[\w./@+=][\w./@+=-]*")
"""What can be put on a command line without quotes and is no option there: names come from
strangers. A colon ends a word in bash."""

_NAMES = """
SELECT DISTINCT name FROM (
  SELECT coalesce(json_extract(attrs_json, '$.name'), label) AS name
    FROM nodes WHERE kind IN ('task', 'thread') AND (?1 IS NULL OR ?1 IN (process, proc_key)))
 WHERE substr(name, 1, length(?2)) = ?2 ORDER BY name LIMIT ?3"""

_PROCESSES = """
SELECT process FROM snapshot_processes UNION SELECT proc_key FROM snapshot_processes ORDER BY 1"""

Ask = Callable[[str, *tuple[Any, ...]], list[str]]
"""One column of a SELECT over the snapshot that the command line names."""
Offer = Callable[[click.Context, click.Parameter, str], list[str]]


def _offering(find: Callable[[Source, Ask, str], Iterable[str]]) -> Offer:
    def offer(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        try:
            given = ctx.find_root().params | {k: v for k, v in ctx.params.items() if v is not None}
            at = given.get("at_")
            wanted = int(at) if at and at != "latest" else None
            with closing(open_source(given.get("db"), given.get("url"), PATIENCE_S)) as source:

                def ask(sql: str, *params: Any) -> list[str]:
                    answer = source.ask("sql", sql=sql, params=params, snapshot_id=wanted)
                    return [str(row[0]) for row in answer["rows"]]

                found = find(source, ask, incomplete)
                fitting = [text for text in found if text.startswith(incomplete)]
        except Exception:
            return []
        return [text for text in fitting if _PLAIN.fullmatch(text)][:OFFERED]

    return offer


def _processes(source: Source, ask: Ask, incomplete: str) -> list[str]:
    return ask(_PROCESSES)


def _subjects(source: Source, ask: Ask, incomplete: str) -> list[str]:
    owner, slash, start = incomplete.rpartition("/")
    if slash:
        return [f"{owner}/{name}" for name in ask(_NAMES, owner, start, OFFERED)]
    return [*ask(_PROCESSES), *ask(_NAMES, None, incomplete, OFFERED)]


def _snapshots(source: Source, ask: Ask, incomplete: str) -> list[str]:
    return [str(s["snapshot_id"]) for s in source.ask("snapshots", limit=OFFERED)["snapshots"]]


def _moments(source: Source, ask: Ask, incomplete: str) -> list[str]:
    return ["latest", *_snapshots(source, ask, incomplete)]


processes = _offering(_processes)
"""Names and keys of processes."""
subjects = _offering(_subjects)
"""Processes, names of tasks and threads, PROCESS/NAME."""
snapshots = _offering(_snapshots)
"""Numbers of snapshots, the newest first."""
moments = _offering(_moments)
"""What --at takes."""
