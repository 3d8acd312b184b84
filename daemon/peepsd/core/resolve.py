"""Why an edge has an end that no reply contained.

Decides the reason and, where the id tells, whose node it would be. Refuses to know how such
edges are found (the store asks SQLite for them).

An id tells its process when its unique part starts with one: `{kind}:{proc_key}:...` or
`{kind}:{proc_key}/...`; an origin may add a random part after the pid (`web-7.k3f9/...`).
"""

from collections.abc import Mapping

from .gather import Status

REASONS: Mapping[Status, str] = {
    Status.TIMEOUT: "process_timeout",
    Status.DISCONNECTED: "process_disconnected",
    Status.ERROR: "process_error",
    Status.RESPONDED: "no_such_node",
}
NO_SUCH_NODE = "no_such_node"


def referenced_process(node_id: str, proc_keys: Mapping[str, Status]) -> str | None:
    """The proc_key in `node_id`, if it is one of the snapshot's."""
    _, _, unique = node_id.partition(":")
    for separator in ("/", ":"):
        origin, found, _ = unique.partition(separator)
        if not found:
            continue
        if origin in proc_keys:
            return origin
        without_random_part = origin.rpartition(".")[0]
        if without_random_part in proc_keys:
            return without_random_part
    return None


def explain(node_id: str, proc_keys: Mapping[str, Status]) -> tuple[str, str | None]:
    """(reason, referenced_proc_key) for an edge's end that is in nobody's reply."""
    proc_key = referenced_process(node_id, proc_keys)
    if proc_key is None:
        return NO_SUCH_NODE, None
    return REASONS[proc_keys[proc_key]], proc_key
