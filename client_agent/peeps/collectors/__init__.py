"""Which collectors there are, and the module whose presence makes each worth loading.

A collector is imported when its library is found in the host, never before: an agent in a
program without trio does not load the trio collector. It is looked for soon after the start, once
in a while, and at each snapshot.
"""

import sys
from importlib import import_module

from .base import Collector

TABLE: tuple[tuple[str, str], ...] = (
    ("asyncio", "asyncio_tasks"),
    ("trio", "trio_tasks"),
    ("threading", "threads"),
    ("socket", "sockets"),
    ("concurrent.futures", "pools"),
    ("subprocess", "processes"),
    ("peeps.integrations.calls", "requests"),
)
"""(module of the host, module here). The module here offers `collector()`."""


class Collectors:
    """The collectors that apply to this process; keeps the ones loaded before."""

    def __init__(self, table: tuple[tuple[str, str], ...] = TABLE) -> None:
        self._table = table
        self._loaded: dict[str, Collector] = {}
        self.failed: dict[str, str] = {}
        """Collector -> why it could not be loaded."""

    def applying(self) -> list[Collector]:
        """Those whose library the host has imported by now."""
        found = []
        for trigger, module in self._table:
            if trigger not in sys.modules:
                continue
            collector = self._loaded.get(module) or self._load(module)
            if collector is not None and collector.applies():
                found.append(collector)
        return found

    def warm_up(self) -> None:
        """Load what fits the host ahead of the first snapshot: it would make that one late, and
        a host that gives up its rights or changes its root may not find the files later."""
        for trigger, module in self._table:
            if trigger in sys.modules and module not in self._loaded:
                self._load(module)
        if self._loaded:
            import_module(f"{__name__}.frame_values").prepare()
            import_module(f"{__name__}.instruction_pointers").known_pointers()

    def _load(self, module: str) -> Collector | None:
        if module in self.failed:
            return None
        try:
            collector: Collector = import_module(f"{__name__}.{module}").collector()
        except Exception as exc:  # whatever is wrong costs this collector only
            self.failed[module] = f"{type(exc).__name__}: {exc}"
            return None
        self._loaded[module] = collector
        return collector
