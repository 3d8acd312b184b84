"""A request is handed to a callback-style library with a Future to fill in; on the error path the
library calls no callback at all."""

# /// script
# requires-python = ">=3.11"
#
# [tool.peeps]
# root = "unknown"
# deadlock = false
# chains = [[["thread", "MainThread"], ["future"]]]
# ///

from collections.abc import Callable
from concurrent.futures import Future


class Library:
    def fetch(self, key: str, done: Callable[[str], None]) -> None:
        if key.startswith("user:"):
            done("ada")


answer: "Future[str]" = Future()
Library().fetch("users:1", answer.set_result)
print("stuck", flush=True)
answer.result()
