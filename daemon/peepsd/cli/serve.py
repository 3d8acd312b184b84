"""The `peepsd` command: settings in, a daemon running until it is told to stop.

Decides flags (one for each row of the settings table), exit statuses and signals: SIGINT and
SIGTERM stop it in order; a second one stops it at once. SIGUSR1 takes a snapshot.
"""

import os
import resource
import signal
import sys
from collections.abc import Callable
from typing import Any

import click
import structlog
import trio

from .. import app, config, log, triggers
from ..errors import ConfigError, PeepsError
from ..notify import notify

logger = structlog.get_logger("peepsd")


def _with_flags(command: Callable[..., None]) -> Callable[..., None]:
    """One option for each setting; values stay text until config.load parses them."""
    for setting in reversed(config.SETTINGS):
        text = f"{setting.help} [{setting.variable}; default: {setting.default or 'none'}]"
        how: dict[str, Any] = {"metavar": "VALUE", "help": text}
        if setting.is_repeatable:
            how |= {"multiple": True, "callback": _joined}
        command = click.option(setting.flag, setting.field, **how)(command)
    return command


def _joined(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> str | None:
    """A flag that was given several times, as its variable would say it."""
    return ",".join(values) or None


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@_with_flags
@click.version_option(package_name="peeps", prog_name="peepsd")
def peepsd(**flags: str | None) -> None:
    """Ask every connected process what it is doing and what it is waiting for.

    Processes connect when PEEPS_DASHBOARD names this daemon. Take a snapshot with
    `curl -X POST http://127.0.0.1:9130/api/jump-now`, or ask `peeps why`.
    """
    settings = config.load(os.environ, flags)
    log.configure(settings.log_level)
    _raise_descriptor_limit()
    trio.run(_serve, settings)


async def _serve(settings: config.Config) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with app.running(settings) as daemon, trio.open_nursery() as nursery:
            await nursery.start(triggers.on_signal, daemon.take)
            logger.info(
                "ready", listen=str(daemon.listen), http=f"http://{daemon.http}", db=settings.db
            )
            notify("READY=1")
            async for number in signals:
                logger.info("stopping", signal=signal.Signals(number).name)
                notify("STOPPING=1")
                break
            nursery.cancel_scope.cancel()
            # From here on a second signal has its usual effect.
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)


def _raise_descriptor_limit() -> None:
    """As many connections as the system allows us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main(arguments: list[str] | None = None) -> None:
    """Run `peepsd`. Exit status 2: a setting is wrong; 1: it could not start or go on."""
    try:
        peepsd.main(arguments, prog_name="peepsd", standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as exc:
        exc.show()
        sys.exit(exc.exit_code)
    except BaseExceptionGroup as group:
        _exit_with(group, _only(group, PeepsError))
    except PeepsError as exc:
        _exit_with(exc, exc)


def _only(group: BaseExceptionGroup[Any], kind: type[PeepsError]) -> PeepsError | None:
    """The one error of that kind inside nested groups; None if there is anything else."""
    while isinstance(group, BaseExceptionGroup) and len(group.exceptions) == 1:
        inner = group.exceptions[0]
        if isinstance(inner, kind):
            return inner
        if not isinstance(inner, BaseExceptionGroup):
            return None
        group = inner
    return None


def _exit_with(raised: BaseException, error: PeepsError | None) -> None:
    if error is None:
        raise raised
    click.echo(f"peepsd: {error.message}", err=True)
    if error.hint:
        click.echo(f"  {error.hint}", err=True)
    sys.exit(2 if isinstance(error, ConfigError) else error.exit_status)
