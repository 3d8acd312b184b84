"""peeps: what is this process doing, and what is it waiting for?

Set PEEPS_DASHBOARD=host:port and nothing else, or call `peeps.start()`. Everything here may be
called whether the agent runs or not; while it does not, nothing is kept and nothing costs.

    peeps.name(lock, "orders")                     a name for a lock, a queue, ...
    node = peeps.node("request", "GET /orders")    a node of your own; node.remove()
    peeps.edge(node, other)                        an edge of your own
    with peeps.waiting_for(node): ...              the calling task or thread needs it
    @peeps.span("import orders")                   a function that shows while it runs
"""

__version__ = "0.1.0"

from ._api import (
    edge,
    name,
    node,
    span,
    start,
    status,
    stop,
    waiting_for,
)

__all__ = ["edge", "name", "node", "span", "start", "status", "stop", "waiting_for"]
