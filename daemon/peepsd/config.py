"""The settings of peepsd: one table, read from the environment and from flags.

Decides names, defaults and what is a sensible value. Refuses to know what a setting does.
Flags win over variables. A wrong value, and a PEEPS_ variable that nobody knows, is an error
that names it: a typo must not silently mean the default.
"""

import difflib
import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from peeps.wire.limits import (
    CEILING_MAX_FRAME_BYTES,
    DEFAULT_MAX_FRAME_BYTES,
    MAX_TIMEOUT_MS,
)

from .errors import ConfigError

PREFIX = "PEEPS_"
KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: host and port, or the path of a Unix socket and port 0."""

    host: str
    port: int

    def __str__(self) -> str:
        if self.is_unix:
            return f"unix:{self.host}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_unix(self) -> bool:
        """Whether it is a Unix socket."""
        return self.host.startswith("/")

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        if self.host == "localhost" or self.is_unix:
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


@dataclass(frozen=True, slots=True)
class Config:
    """Every setting, checked."""

    listen: Address
    http: Address
    db: str
    timeout_ms: int
    grace_ms: int
    every: float
    """Seconds between snapshots that are taken by themselves; 0: none are."""
    max_frame_bytes: int
    receive_budget_bytes: int
    max_connections: int
    retain_snapshots: int
    retain_event_days: float
    token: str | None
    insecure: bool
    allowed_hosts: tuple[str, ...]
    introspect: tuple[str, ...]
    log_level: str


def parse_address(text: str) -> Address:
    """`host:port`, `[v6]:port`, or `:port` for all of this machine's loopback."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") or "127.0.0.1"
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError("is not host:port, such as 127.0.0.1:9119")
    return Address(host, int(port))


def parse_listen(text: str) -> Address:
    """An address, or `unix:/path`."""
    path = text.removeprefix("unix:")
    if path.startswith("/"):
        return Address(path, 0)
    try:
        return parse_address(text)
    except ValueError as exc:
        raise ValueError(f"{exc}, or unix:/path") from None


def _integer(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise ValueError("is not a whole number") from None
        if not low <= value <= high:
            raise ValueError(f"is not between {low} and {high}")
        return value

    return parse


def _number(low: float, high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise ValueError("is not a number") from None
        if not low <= value <= high:
            raise ValueError(f"is not between {low:g} and {high:g}")
        return value

    return parse


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def _duration(text: str) -> float:
    """Seconds of 500ms, 2s, 1m, 1h, or a number of seconds."""
    unit = next((unit for unit in _UNITS if text.endswith(unit)), "")
    number = text.removesuffix(unit)
    try:
        seconds = float(number) * _UNITS.get(unit, 1.0)
    except ValueError:
        raise ValueError("is no duration, such as 500ms, 2s or 1m") from None
    if seconds != 0 and not 0.1 <= seconds <= 86_400:
        raise ValueError("is neither 0 nor between 100ms and 24h")
    return seconds


def _flag(text: str) -> bool:
    choices = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    try:
        return choices[text.lower()]
    except KeyError:
        raise ValueError("is not 1 or 0") from None


def _text(text: str) -> str:
    if not text:
        raise ValueError("is empty")
    return text


def _token(text: str) -> str | None:
    if text and len(text) < 16:
        raise ValueError("has fewer than 16 characters; make one with: openssl rand -hex 32")
    return text or None


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _websocket_urls(text: str) -> tuple[str, ...]:
    urls = _words(text)
    for url in urls:
        try:
            parts = urlsplit(url)
            is_usable = parts.scheme in ("ws", "wss") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_usable = False
        if not is_usable:
            raise ValueError("is not ws://host:port/path")
    return urls


def _level(text: str) -> str:
    if text.lower() not in ("debug", "info", "warning", "error"):
        raise ValueError("is not debug, info, warning or error")
    return text.lower()


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table. `field` is Config's; the variable is PEEPS_ and the field's name
    in capitals, the flag the same with dashes."""

    field: str
    default: str
    parse: Callable[[str], Any]
    help: str
    is_repeatable: bool = False
    """The flag may be given several times; the variable separates values by commas."""

    @property
    def variable(self) -> str:
        """The environment variable."""
        return PREFIX + self.field.upper()

    @property
    def flag(self) -> str:
        """The command-line flag."""
        return "--" + self.field.replace("_", "-")


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "listen", "127.0.0.1:9119", parse_listen, "where processes connect: host:port or unix:/path"
    ),
    Setting("http", "127.0.0.1:9130", parse_address, "where people and observers connect"),
    Setting("db", "./peeps.sqlite", _text, "database file, created if it is not there"),
    Setting(
        "timeout_ms", "5000", _integer(1, MAX_TIMEOUT_MS), "how long a snapshot waits for replies"
    ),
    Setting("grace_ms", "500", _integer(0, MAX_TIMEOUT_MS), "what is added to the timeout"),
    Setting("every", "0", _duration, "take a snapshot by itself so often, such as 2s; 0: never"),
    Setting(
        "max_frame_bytes",
        str(DEFAULT_MAX_FRAME_BYTES),
        _integer(KIB, CEILING_MAX_FRAME_BYTES),
        "largest reply of one process",
    ),
    Setting(
        "receive_budget_bytes",
        str(256 * MIB),
        _integer(MIB, 1 << 40),
        "replies held in memory at once; beyond it, processes wait to be read",
    ),
    Setting("max_connections", "4096", _integer(1, 1_000_000), "processes connected at once"),
    Setting("retain_snapshots", "500", _integer(1, 1_000_000_000), "snapshots kept"),
    Setting("retain_event_days", "7", _number(0.01, 36500), "days that ingest events are kept"),
    Setting("token", "", _token, "shared secret of processes and people; required beyond loopback"),
    Setting(
        "insecure", "0", _flag, "1: listen beyond loopback although the token travels in the clear"
    ),
    Setting(
        "allowed_hosts", "", _words, "more names (host or host:port) that HTTP requests may use"
    ),
    Setting(
        "introspect",
        "",
        _websocket_urls,
        "libp2p introspection servers (ws://host:port/introspect) to ask in every snapshot",
        is_repeatable=True,
    ),
    Setting("log_level", "info", _level, "debug, info, warning or error"),
)

AGENT_VARIABLES: Mapping[str, str] = {
    "PEEPS_DASHBOARD": "agent: host:port of the daemon; unset means the agent does nothing at all",
    "PEEPS_PROCESS_NAME": "agent: name of this process, by default from the program",
    "PEEPS_SHORT_TURNS": "agent: 1 lets it in beside a loop that never rests",
    "PEEPS_URL": "peeps: the daemon to ask, such as http://127.0.0.1:9130",
}


def load(environ: Mapping[str, str], flags: Mapping[str, str | None] | None = None) -> Config:
    """The settings in force. `flags` maps field names to what was given on the command line.

    Raises ConfigError naming the variable or flag and what to do.
    """
    _refuse_unknown(environ)
    flags = flags or {}
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        given = flags.get(setting.field)
        if given is not None:
            values[setting.field] = _parse(setting, given, setting.flag)
        else:
            text = environ.get(setting.variable, setting.default)
            values[setting.field] = _parse(setting, text, setting.variable)
    config = Config(**values)
    _refuse_exposure(config)
    return config


def _parse(setting: Setting, text: str, source: str) -> Any:
    try:
        return setting.parse(text)
    except ValueError as exc:
        shown = "(hidden)" if setting.field == "token" else repr(text)
        raise ConfigError(
            f"{source}: {shown} {exc}", hint=f"{setting.help}; the default is {setting.default!r}"
        ) from None


def _refuse_unknown(environ: Mapping[str, str]) -> None:
    known = {s.variable for s in SETTINGS} | set(AGENT_VARIABLES)
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known:
            close = difflib.get_close_matches(name, known, 1, 0.6)
            hint = f"did you mean {close[0]}?" if close else "peepsd --help lists the settings"
            raise ConfigError(f"{name} is not a setting of peeps", hint=hint)


def _refuse_exposure(config: Config) -> None:
    """docs/security.md: beyond loopback only with a token, knowingly."""
    for name, address in (("PEEPS_LISTEN", config.listen), ("PEEPS_HTTP", config.http)):
        if address.is_loopback:
            continue
        if config.token is None:
            raise ConfigError(
                f"{name}: {address} can be reached from other machines, but PEEPS_TOKEN is not set",
                hint="set PEEPS_TOKEN (openssl rand -hex 32), or listen on 127.0.0.1 and use"
                " ssh -L",
            )
        if not config.insecure:
            raise ConfigError(
                f"{name}: {address} can be reached from other machines, and the token would"
                " travel in the clear",
                hint="use ssh -L or a TLS proxy; or accept it with --insecure 1",
            )
