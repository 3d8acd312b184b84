"""How the benchmarks measure: alternatives in turn, several rounds, medians and ratios.

Machines are noisy and their speed drifts; what was run side by side can be compared.
"""

import statistics
import time
from collections.abc import Callable, Mapping


def compare(
    alternatives: Mapping[str, Callable[[], object]], *, rounds: int = 7, unit: str = "ms"
) -> dict[str, float]:
    """Run each alternative once per round, in turn; print median, spread and the ratio to the
    first. Returns the median seconds by name."""
    times: dict[str, list[float]] = {name: [] for name in alternatives}
    for _ in range(rounds):
        for name, run in alternatives.items():
            began = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - began)
    medians = {name: statistics.median(t) for name, t in times.items()}
    first = next(iter(medians.values()))
    factor = {"s": 1, "ms": 1e3, "us": 1e6}[unit]
    width = max(map(len, times))
    for name, t in times.items():
        print(
            f"  {name:{width}}  median {medians[name] * factor:9.2f} {unit}"
            f"  ({min(t) * factor:.2f} to {max(t) * factor:.2f})  x{medians[name] / first:.2f}"
        )
    return medians
