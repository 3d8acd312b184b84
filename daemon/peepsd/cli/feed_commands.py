"""`peeps record`, `replay`, `inspect` and `watch`: the observer feed for people.

Decides flags, durations and where output goes. What is shown is in feed_views (live), feed_report
(of a recording) and feed_words.
"""

import json
import math
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import click
import trio

from ..asking.source import default_url
from ..core.identity import safe_text
from ..errors import PeepsError
from ..feed.client import Connected, Lost, Received, Update, follow
from ..feed.inspection import Inspection
from ..feed.modes import INTROSPECT, PUSHABLE
from ..feed.recording import read_file
from .feed_record import RecordingFile
from .options import Duration

DEFAULT_REPLAY = "127.0.0.1:8080"
"""Where deployed observer tools look if nobody tells them otherwise."""


def feed_url(text: str) -> str:
    """The feed's address for what a person gave: http or ws URL, or host:port."""
    if "://" not in text:
        text = f"ws://{text}"
    try:
        parts = urlsplit(text)
    except ValueError:
        return text  # whoever connects says what is wrong with it
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    path = parts.path if parts.path not in ("", "/") else INTROSPECT.url
    return parts._replace(scheme=scheme, path=path).geturl()


def _url(ctx: click.Context, _param: click.Parameter, value: str | None) -> str:
    """The feed of --url, given here or before the command; else of this environment's peepsd."""
    return feed_url(value or ctx.find_root().params.get("url") or default_url())


def _number(ctx: click.Context, param: click.Parameter, value: float) -> float:
    """No nan, which no range refuses."""
    if math.isnan(value):
        raise click.BadParameter("nan is no number", ctx, param)
    return value


def _server_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option(
            "--url",
            callback=_url,
            help="peepsd's HTTP address, or any ws:// address"
            "  [default: PEEPS_HTTP, or http://127.0.0.1:9130].",
        ),
        click.option("--token", envvar="PEEPS_TOKEN", help="If peepsd wants one.  [PEEPS_TOKEN]"),
        click.option("--interval", type=Duration(), help="Ask peepsd for a State this often."),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--for", "duration", type=Duration(), default=math.inf, help="Stop after this: 60s, 5m, 1h."
)
@click.option("--force", is_flag=True, help="Write over OUT if it exists.")
@_server_options
def record(
    out: Path, duration: float, force: bool, url: str, token: str | None, interval: float | None
) -> None:
    """Record what peepsd tells its observers into OUT, until Ctrl-C.

    A recording can be replayed and inspected later, also by libp2p's observer tools.
    """
    with RecordingFile(out, force=force) as file:

        def take(update: Update) -> None:
            _tell_connection(update)
            if isinstance(update, Received):
                file.write(update.payload)

        _run(partial(_follow, url, token, interval, take), duration)
    click.echo(f"{out}: {file.messages} messages, {file.size} bytes")


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--listen", default=DEFAULT_REPLAY, show_default=True, help="host:port; port 0: any.")
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True),
    callback=_number,
    default=1.0,
    show_default=True,
    help="2: twice as fast as it was recorded.",
)
def replay(file: Path, listen: str, speed: float) -> None:
    """Serve a recording to observers as if it happened now, until Ctrl-C.

    Each observer gets it from the beginning: on /introspect by pull or on request, on
    /observer and / as deployed observer tools expect.
    """
    from .feed_replay import serve_recording

    _run(partial(serve_recording, file, listen, speed), math.inf)


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def inspect(file: Path, as_json: bool) -> None:
    """Say what is in a recording: counts, time span, gaps, connections, traffic.

    Exit status 1 if part of it cannot be read.
    """
    inspection = Inspection()
    for item in read_file(file):
        inspection.add(item)
    if as_json:
        click.echo(json.dumps({"file": str(file), **inspection.to_dict()}))
    else:
        from .feed_report import inspection_lines

        for line in inspection_lines(inspection):
            click.echo(line)
    is_damaged = bool(inspection.damage or inspection.records["undecodable"])
    if is_damaged or not inspection.records:
        sys.exit(1)


@click.command()
@click.option("--once", is_flag=True, help="Print what is known after one State, and end.")
@click.option("--for", "duration", type=Duration(), default=math.inf, help="End after this.")
@_server_options
def watch(once: bool, duration: float, url: str, token: str | None, interval: float | None) -> None:
    """Watch processes, traffic and events live, until Ctrl-C.

    Where the output is no terminal, each event is one line.
    """
    from .feed_views import LiveView

    if not once and not sys.stdout.isatty():
        _run(partial(_follow, url, token, interval, _print_events), duration)
        return
    view = LiveView(url)
    with view.shown(hidden=once):
        done = (lambda: view.has_state) if once else (lambda: False)
        _run(partial(_follow, url, token, interval, view.update, done), duration)
    if once:
        view.print()


async def _follow(
    url: str,
    token: str | None,
    interval: float | None,
    tell: Callable[[Update], None],
    is_done: Callable[[], bool] = lambda: False,
) -> None:
    """Follow everything, telling `tell`, until is_done() after an update."""
    with trio.CancelScope() as scope:

        def told(update: Update) -> None:
            tell(update)
            if is_done():
                scope.cancel()

        interval_ms = None if interval is None else round(interval * 1000)
        await follow(
            url,
            PUSHABLE,
            told,
            token=token,
            interval_ms=interval_ms,
            wait_for_server=False,
        )


def _tell_connection(update: Update) -> None:
    match update:
        case Connected(url=url):
            click.echo(f"connected to {url}", err=True)
        case Lost(reason=reason, retry_in_s=wait_s):
            click.echo(f"{safe_text(reason, 300)}; again in {wait_s:.1f} s", err=True)
        case Received():
            pass


def _print_events(update: Update) -> None:
    from .feed_words import event_line, lost_words

    _tell_connection(update)
    if not isinstance(update, Received):
        return
    if update.message.HasField("event"):
        click.echo(event_line(update.message.event))
    elif words := lost_words(update.message.notice):
        click.echo(words, err=True)


def _run(main: Callable[[], Awaitable[None]], duration: float) -> None:
    """Until `main` ends, `duration` (s) is over, or somebody ends it: all are as intended."""

    async def until_told() -> None:
        async with trio.open_nursery(strict_exception_groups=True) as nursery:
            nursery.start_soon(_cancel_on_signal, nursery.cancel_scope)
            with trio.move_on_after(duration):
                await main()
            nursery.cancel_scope.cancel()

    try:
        trio.run(until_told)
    except* PeepsError as group:
        raise group.exceptions[0] from None
    except* BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


async def _cancel_on_signal(scope: trio.CancelScope) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            scope.cancel()
