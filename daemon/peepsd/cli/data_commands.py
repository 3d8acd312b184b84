"""Commands that hand data out: sql, query, export, share.

Decides where output goes. Refuses to know what SQL means and what formats look like.
"""

import sys
from pathlib import Path

import click
import orjson

from ..asking.second_look import snapshot_before
from ..errors import BadRequest
from . import completions, show_lists
from .options import Asking, asking
from .output import safe

FORMATS = ("dot", "graphml", "mermaid", "json", "perfetto", "speedscope")


def _value(text: str) -> object:
    """A parameter as JSON if it is a number, null or true/false, else as text."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    return value if value is None or isinstance(value, (int, float)) else text


@click.command()
@click.argument("statement", required=False)
@click.argument("params", nargs=-1)
@asking(fresh=False)
def sql(ask: Asking, statement: str | None, params: tuple[str, ...]) -> None:
    """Run one SELECT over one snapshot; PARAMS fill its question marks.

    Without a statement it is read from standard input. docs/sql-cookbook.md has many to copy.
    """
    if statement is None:
        if sys.stdin.isatty():
            raise BadRequest("no statement: peeps sql 'SELECT …', or pipe one in")
        statement = sys.stdin.read()
    answer = ask.ask(
        "sql",
        sql=statement,
        params=[_value(p) for p in params] or None,
        snapshot_id=ask.snapshot_id(),
    )
    ask.show(answer, show_lists.rows)


def _names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from ..store.packs import PACKS

    return [name for name in PACKS if name.startswith(incomplete)]


@click.command()
@click.argument("name", required=False, shell_complete=_names)
@click.option("--limit", type=click.IntRange(1, 5000), default=100, show_default=True)
@click.option("--sql", "with_sql", is_flag=True, help="Show the query instead of running it.")
@asking(fresh=False)
def query(ask: Asking, name: str | None, limit: int, with_sql: bool) -> None:
    """Run a named query; without a name, list them."""
    from ..store.packs import PACKS, pack_named

    if name is None:
        known = [{"name": p.name, "asks": p.asks} for p in PACKS.values()]
        ask.show(
            {"queries": known},
            lambda out, _: out.table(["name", "asks"], [(p["name"], p["asks"]) for p in known]),
        )
        return
    pack = pack_named(name)
    if with_sql:
        ask.show(
            {"name": name, "asks": pack.asks, "sql": pack.sql.strip()},
            lambda _, found: click.echo(found["sql"]),
        )
        return
    answer = ask.ask("query", name=name, limit=limit, snapshot_id=ask.snapshot_id())
    ask.show(answer, show_lists.rows)


@click.command()
@click.option("--format", "format_", type=click.Choice(FORMATS), default="dot", show_default=True)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path))
@asking(fresh=False)
def export(ask: Asking, format_: str, output: Path | None) -> None:
    """Write a snapshot for another tool.

    dot, graphml, mermaid: the wait graph, deadlocks in red. perfetto, speedscope: the stacks of
    all tasks and threads. json: everything.
    """
    answer = ask.ask("export", snapshot_id=ask.snapshot_id(), format=format_)
    if output is not None:
        try:
            output.write_text(answer["text"], encoding="utf-8")
        except OSError as exc:
            raise BadRequest(f"cannot write {output}: {exc.strerror}") from exc
    first = answer["text"].partition("\n")[0]
    if first.startswith("%% "):
        click.echo(f"peeps: {safe(first[3:])}", err=True)
    if ask.as_json:
        ask.out.json(answer)
    elif output is None:
        click.echo(answer["text"], nl=False)


@click.command()
@click.argument("snapshot_id", type=click.IntRange(min=1), shell_complete=completions.snapshots)
@click.argument("output", type=click.Path(dir_okay=False, path_type=Path))
@asking(at=False, fresh=False)
def share(ask: Asking, snapshot_id: int, output: Path) -> None:
    """Write one snapshot as a small file of its own, to open anywhere.

    `peeps --db OUT.peeps why` and every other command read it; so does sqlite3. The snapshot
    before comes along: it tells a deadlock from a moment. The file holds names, places and
    stacks, as the database does, and no values; only you may read it.
    """
    from ..store.sharing import share_exported

    before = snapshot_before(ask.ask, snapshot_id)
    wanted = [snapshot_id] if before is None else [before, snapshot_id]
    exported = [
        orjson.loads(ask.ask("export", snapshot_id=number, format="json")["text"])
        for number in wanted
    ]
    size = share_exported(exported, output)
    along = "" if before is None else f", with {before} to confirm it,"
    ask.show(
        {"snapshot_id": snapshot_id, "before": before, "file": str(output), "bytes": size},
        lambda out, told: out.line(
            f"snapshot {snapshot_id}{along} is in {output} ({told['bytes']} bytes)"
        ),
    )
