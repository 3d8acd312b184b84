"""docs/observer-protocol.md says what the feed does, and leaves no rule out."""

import re
from pathlib import Path

import pytest

from peepsd.feed import configuration
from peepsd.feed.configuration import INTERVAL_LIMITS_MS, RETENTION_LIMITS_MS, Settings
from peepsd.feed.dialect import SILENCE_S
from peepsd.feed.events import Catalogue
from peepsd.feed.hub import Limits
from peepsd.feed.modes import OBSERVER
from peepsd.feed.pb import introspection_pb2 as pb

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/observer-protocol.md").read_text()
RULES = [f"R{n}" for n in range(1, 35)] + [f"V{n}" for n in range(1, 8)]
NOT_OURS_TO_TEST = {"R32"}
"""Superseded by R18."""


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_says_how_it_is_met_and_has_a_test(rule: str) -> None:
    assert re.search(rf"^\| {rule} [^|]+\| [^|]{{3,}} \|$", TEXT, re.MULTILINE)
    names = "".join(
        "\n".join(re.findall(r"def (test_\w+)", path.read_text()))
        for path in (ROOT / "tests").rglob("test_*.py")
    )
    number = f"r{int(rule[1:]):02}" if rule[0] == "R" else rule.lower()
    assert rule in NOT_OURS_TO_TEST or re.search(rf"_{number}_", names), rule


@pytest.mark.parametrize("kind", Catalogue().types(), ids=lambda kind: kind.name)
def test_every_event_is_documented_with_its_properties(kind: pb.EventType) -> None:
    sorts = pb.EventType.EventProperty.PropertyType
    properties = ", ".join(f"{p.name} {sorts.Name(p.type)}" for p in kind.property_types)
    assert f"| {kind.name} | {properties} |" in TEXT


def test_every_signal_is_documented_with_its_number() -> None:
    for name, number in pb.ClientSignal.Signal.items():
        assert f"| {number} | {name} |" in TEXT
    for name, number in pb.ClientCommand.Command.items():
        assert f"{name} {number}" in TEXT


def test_settings_and_limits_are_those_of_the_code() -> None:
    usual, limits = Settings(), Limits()
    (low, high), (least, most) = INTERVAL_LIMITS_MS, RETENTION_LIMITS_MS
    for said in (
        f"({low} to {high}, at first {usual.send_state_interval_ms})",
        f"({least} to {most}, at first {usual.retention_period_ms})",
        f"| {limits.max_observers}; one more",
        f"| {limits.max_backlog_bytes >> 20} MiB, and",
        f"| {limits.stall_s:g} s, then",
        f"| {limits.max_message_bytes >> 10} KiB, else 1009",
        f"| {limits.messages_per_s:g} a second after a burst of {limits.message_burst}, else 1008",
        f"| {limits.breather_s * 1000:g} ms for each observer",
        f"waits {OBSERVER.first_frame_wait_s * 1000:g} ms",
        f"silent for {SILENCE_S * 1000:g} ms",
    ):
        assert said in TEXT, said
    for key in configuration._INTERVAL_KEYS | configuration._RETENTION_KEYS:
        assert f"`{key}`" in TEXT
