"""Small random wait graphs, for tests of everything that is computed from one."""

from collections.abc import Iterable

from hypothesis import strategies as st

from peepsd.core import waits

NODES = 7


def graph_of(
    edges: Iterable[tuple[int, int]], any_of: Iterable[int] = (), limited: Iterable[int] = ()
) -> waits.WaitGraph:
    """Tasks 0, 1, ... that need each other."""
    return waits.build(
        [(f"task:{a}", f"task:{b}", None) for a, b in sorted(edges)],
        [f"task:{n}" for n in any_of],
        [f"task:{n}" for n in limited],
    )


@st.composite
def wait_graphs(draw: st.DrawFn) -> waits.WaitGraph:
    """Up to 7 nodes, OR waits and time limits among them."""
    number = st.integers(0, NODES - 1)
    return graph_of(
        draw(st.sets(st.tuples(number, number), max_size=14)),
        any_of=draw(st.sets(number, max_size=4)),
        limited=draw(st.sets(number, max_size=1)),
    )
