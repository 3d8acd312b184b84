"""Serves a recording over HTTP for `peeps replay`. Decides where, and says so."""

from functools import partial
from pathlib import Path

import click
import trio
from starlette.applications import Starlette

from ..config import Address, parse_address
from ..errors import ConfigError
from ..feed.hub import Limits
from ..feed.modes import OBSERVER, PATHS
from ..feed.recording import Damage
from ..feed.replay import ReplayFeed, open_recording
from ..feed.routes import websocket_routes
from ..http import server
from ..http.guard import Guard, Policy


async def serve_recording(file: Path, listen: str, speed: float) -> None:
    """Serve until cancelled. Raises ConfigError, NoRecording."""
    feed = ReplayFeed(
        open_recording(file),
        speed=speed,
        on_damage=_report_damage,
        on_end=lambda: click.echo("an observer has had it all", err=True),
    )
    routes = websocket_routes(feed, ("/", OBSERVER))
    listeners = await _listeners(listen)
    host, port = server.bound_address(listeners)
    app = Guard(Starlette(routes=routes), Policy.listening_on(host, port))
    serve = partial(server.serve, max_connections=2 * Limits().max_observers)
    async with trio.open_nursery() as nursery:
        await nursery.start(serve, app, listeners)
        for path in PATHS:
            click.echo(f"replaying {file} at ws://{Address(host, port)}{path.url}")


async def _listeners(listen: str) -> list[trio.SocketListener]:
    try:
        address = parse_address(listen)
    except ValueError as exc:
        raise ConfigError(f"--listen: {listen!r} {exc}") from None
    if not address.is_loopback:
        raise ConfigError(
            f"--listen: {address} can be reached from other machines",
            hint="listen on 127.0.0.1 and use ssh -L",
        )
    try:
        return await server.listen(address.host, address.port)
    except OSError as exc:
        raise ConfigError(
            f"--listen: cannot listen on {address}: {exc.strerror or exc}",
            hint="choose another port, or 0 for any free one",
        ) from None


def _report_damage(damage: Damage) -> None:
    """One line on standard error about what cannot be read."""
    click.echo(
        f"skipped {damage.length} bytes at offset {damage.offset}: {damage.reason}", err=True
    )
