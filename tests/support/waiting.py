"""Waiting for what nothing announces."""

import time
from collections.abc import Callable
from typing import Any


def wait_until(condition: Callable[[], Any], what: str = "it", deadline_s: float = 60.0) -> Any:
    """Poll until `condition()` is true; its value. Fails if it never is."""
    end = time.monotonic() + deadline_s
    while not (value := condition()):
        assert time.monotonic() < end, f"still not so after {deadline_s:g} s: {what}"
        time.sleep(0.01)
    return value
