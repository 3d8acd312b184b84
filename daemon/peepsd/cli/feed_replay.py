"""Serves a recording over HTTP for `peeps replay`. Decides where, and says so."""

import socket
from pathlib import Path

import click
import hypercorn.config
import hypercorn.trio
import trio
from starlette.applications import Starlette

from ..config import parse_address
from ..errors import ConfigError
from ..feed.modes import OBSERVER, PATHS
from ..feed.replay import ReplayFeed, open_recording
from ..feed.routes import websocket_route, websocket_routes
from .feed_commands import report_damage


async def serve_recording(file: Path, listen: str, speed: float) -> None:
    """Serve until cancelled. Raises ConfigError, NoRecording."""
    feed = ReplayFeed(
        open_recording(file),
        speed=speed,
        on_damage=report_damage,
        on_end=lambda: click.echo("an observer has had it all", err=True),
    )
    routes = [*websocket_routes(feed), websocket_route("/", OBSERVER, feed)]
    listener = _listener(listen)
    host, port = listener.getsockname()[:2]
    config = hypercorn.config.Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.errorlog = config.accesslog = None
    config.graceful_timeout = 0.5
    config.websocket_ping_interval = 20.0
    async with trio.open_nursery() as nursery:
        await nursery.start(hypercorn.trio.serve, Starlette(routes=routes), config)
        where = f"[{host}]" if ":" in host else host
        for path in PATHS:
            click.echo(f"replaying {file} at ws://{where}:{port}{path.url}")


def _listener(listen: str) -> socket.socket:
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
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        return socket.create_server((address.host, address.port), family=family)
    except OSError as exc:
        raise ConfigError(
            f"--listen: cannot listen on {address}: {exc.strerror or exc}",
            hint="choose another port, or 0 for any free one",
        ) from None
