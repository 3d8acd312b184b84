"""What the environment asks of the agent. Decides how the variables are read; a bad value is an
error text here, never an exception in the host: the agent stays off and `peeps.status()` tells.

Variables: docs/operations.md.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from .wire.limits import CEILING_MAX_FRAME_BYTES, DEFAULT_MAX_FRAME_BYTES

DEFAULT_PORT = 9119

Address = tuple[str, int] | str
"""(host, port) of a TCP listener, or the path of a Unix socket."""


class ConfigError(Exception):
    """A variable has a value that cannot be used; the text says which and what to do."""


@dataclass(frozen=True, slots=True)
class Config:
    """Where the daemon is, and how this process presents itself."""

    dashboard: Address
    process_name: str | None = None
    token: str | None = None
    max_frame_bytes: int = DEFAULT_MAX_FRAME_BYTES
    short_turns: bool = False
    """Whether threads hand over the interpreter lock sooner all the time, not only while an
    answer is made (turns.py)."""


def read_config(environ: Mapping[str, str] | None = None) -> Config | None:
    """The configuration, or None if PEEPS_DASHBOARD is unset or empty. Raises ConfigError."""
    env = os.environ if environ is None else environ
    dashboard = env.get("PEEPS_DASHBOARD", "").strip()
    if not dashboard:
        return None
    return Config(
        dashboard=parse_address(dashboard),
        process_name=env.get("PEEPS_PROCESS_NAME", "").strip() or None,
        token=env.get("PEEPS_TOKEN", "").strip() or None,
        max_frame_bytes=_frame_limit(env.get("PEEPS_MAX_FRAME_BYTES", "").strip()),
        short_turns=env.get("PEEPS_SHORT_TURNS", "").strip().lower() in ("1", "true", "yes"),
    )


def parse_address(text: str) -> Address:
    """ "host:port", ":port", "[v6]:port", "host" (port 9119), or "unix:/path" or "/path"."""
    if text.startswith("unix:"):
        return text[5:]
    if text.startswith("/"):
        return text
    hint = f"PEEPS_DASHBOARD={text!r} is no address; write host:port, such as 127.0.0.1:9119"
    if "://" in text or text.isdigit():  # a port alone: no host is called that
        raise ConfigError(hint)
    host, colon, port_text = text.rpartition(":")
    is_bare_v6 = text.count(":") > 1 and not text.startswith("[")
    if not colon or is_bare_v6 or text.endswith("]"):
        host, port_text = text, str(DEFAULT_PORT)
    host = host.strip("[]") or "127.0.0.1"
    try:
        port = int(port_text)
    except ValueError:
        raise ConfigError(hint) from None
    if not 1 <= port <= 65535:
        raise ConfigError(hint)
    return host, port


def _frame_limit(text: str) -> int:
    if not text:
        return DEFAULT_MAX_FRAME_BYTES
    try:
        limit = int(text)
    except ValueError:
        limit = 0
    if not 1024 <= limit <= CEILING_MAX_FRAME_BYTES:
        raise ConfigError(
            f"PEEPS_MAX_FRAME_BYTES={text!r} is no number from 1024 to {CEILING_MAX_FRAME_BYTES}"
        )
    return limit
