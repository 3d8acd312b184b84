"""What a thread that waits for nothing known is said to do."""

from typing import Any

import pytest

from peepsd.core.nodes import Node
from peepsd.core.roots import classify


@pytest.mark.parametrize(
    ("attrs", "kind", "reason"),
    [
        ({"state": "running"}, "running", "it is running"),
        (
            {"state": "waiting", "waits_for": "native code", "ctx.function": "store"},
            "unknown",
            "it waits inside of a call to native code that store made",
        ),
        (
            {"state": "waiting", "waits_for": "native code"},
            "unknown",
            "it waits inside of a call to native code",
        ),
        (
            {"state": "waiting", "waits_for": "select"},
            "unknown",
            "it waits for something that could not be seen from outside",
        ),
    ],
)
def test_a_thread_without_needs(attrs: dict[str, Any], kind: str, reason: str) -> None:
    root = classify(Node("thread:p-1/1", "thread", "p-1", "p", "worker", attrs))
    assert (root.kind, root.reason) == (kind, reason)
