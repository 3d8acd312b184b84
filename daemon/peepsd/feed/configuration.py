"""What observers may set, within which limits, and how they ask for it. Pure.

Each observer has settings of its own, and begins with those of the server: what one asks for is
nothing to the others. An absurd value is clamped and never an error; what cannot be read at all
is one (R28).
"""

import json
from dataclasses import dataclass, replace
from typing import Any, NoReturn

INTERVAL_LIMITS_MS = (500, 60_000)
"""States more often than this would be work without news; the lower limit is the Go server's."""
RETENTION_LIMITS_MS = (1_000, 600_000)
"""How long a paused observer's backlog may be; it is bounded by bytes as well."""

_INTERVAL_KEYS = {
    "send_state_interval_ms",
    "sendStateIntervalMs",
    "state_snapshot_interval_ms",
    "stateSnapshotIntervalMs",
    "durationSnapshot",
}
_RETENTION_KEYS = {
    "retention_period_ms",
    "retentionPeriodMs",
    "keep_stale_data_ms",
    "keepStaleDataMs",
}


class MalformedConfiguration(ValueError):
    """The content of a CONFIG_EMITTER signal cannot be read."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The values in force for one observer."""

    send_state_interval_ms: int = 1_000
    retention_period_ms: int = 120_000


@dataclass(frozen=True, slots=True)
class Wish:
    """What an observer asks for; None: leave as it is."""

    send_state_interval_ms: float | None = None
    retention_period_ms: float | None = None

    def granted(self, current: Settings) -> Settings:
        """The settings that come of it."""
        return Settings(
            _clamp(self.send_state_interval_ms, current.send_state_interval_ms, INTERVAL_LIMITS_MS),
            _clamp(self.retention_period_ms, current.retention_period_ms, RETENTION_LIMITS_MS),
        )

    def is_fulfilled_by(self, settings: Settings) -> bool:
        """Whether these settings are exactly what was asked for."""
        return self.send_state_interval_ms in (None, settings.send_state_interval_ms) and (
            self.retention_period_ms in (None, settings.retention_period_ms)
        )


def wish_from_numbers(retention_period_ms: int, state_snapshot_interval_ms: int) -> Wish:
    """From a Configuration message, where 0 is a field that was not set."""
    return Wish(state_snapshot_interval_ms or None, retention_period_ms or None)


def wish_from_json(content: str) -> Wish:
    """From the content of CONFIG_EMITTER: a JSON object, keys of any revision, in any case.

    Unknown keys are ignored and an empty content asks for nothing. Raises
    MalformedConfiguration.
    """
    if not content.strip():
        return Wish()
    try:
        asked = json.loads(content, parse_int=float, parse_constant=_no_constant)
    except (ValueError, RecursionError) as exc:
        raise MalformedConfiguration(
            f"the content is not JSON ({type(exc).__name__}); send an object"
            ' such as {"send_state_interval_ms": 1000}'
        ) from None
    if not isinstance(asked, dict):
        raise MalformedConfiguration(
            'the content is not a JSON object; send {"send_state_interval_ms": 1000}'
        )
    wish = Wish()
    for key, value in asked.items():
        if key in _INTERVAL_KEYS:
            wish = replace(wish, send_state_interval_ms=_number(key, value))
        elif key in _RETENTION_KEYS:
            wish = replace(wish, retention_period_ms=_number(key, value))
    return wish


def _number(key: str, value: Any) -> float:
    if not isinstance(value, float):
        raise MalformedConfiguration(f"{key} is not a number; give milliseconds")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _clamp(asked: float | None, current: int, limits: tuple[int, int]) -> int:
    if asked is None:
        return current
    low, high = limits
    return round(min(max(asked, low), high))
