"""The daemon's numbers in the Prometheus text format. Decides names, types and help texts."""

from collections.abc import Mapping

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

METRICS: Mapping[str, tuple[str, str]] = {
    "connections": ("gauge", "processes connected"),
    "unidentified_connections": ("gauge", "processes that have not said who they are"),
    "refused_connections_total": ("counter", "connections refused at the limit"),
    "evicted_connections_total": ("counter", "silent connections cut at the limit"),
    "snapshots_total": ("counter", "snapshots completed since the start"),
    "last_snapshot_id": ("gauge", "id of the newest snapshot completed since the start"),
    "last_snapshot_seconds": ("gauge", "how long the newest snapshot took"),
    "replies_total": ("counter", "replies stored since the start"),
    "timeouts_total": ("counter", "processes that did not reply in time"),
    "ingest_events_total": ("counter", "things received that could not be used"),
    "receive_budget_used_bytes": ("gauge", "replies held in memory"),
    "receive_budget_waiting": ("gauge", "connections waiting for memory"),
    "observers": ("gauge", "observers connected"),
    "observer_queued_bytes": ("gauge", "messages waiting for slow or paused observers"),
    "observer_discarded_messages_total": ("counter", "messages that slow observers lost"),
    "http_refused_total": ("counter", "HTTP requests that the guard refused"),
    "sql_queries_total": ("counter", "SQL statements run"),
    "sql_busy_total": ("counter", "SQL statements refused because too many were waiting"),
    "sql_killed_total": ("counter", "SQL statements whose process had to be killed, or died"),
    "uptime_seconds": ("gauge", "seconds since the start"),
}


def render(numbers: Mapping[str, float]) -> str:
    """One HELP, TYPE and sample line for each metric that has a number."""
    lines = []
    for name, (kind, text) in METRICS.items():
        if name in numbers:
            lines.append(f"# HELP peepsd_{name} {text}")
            lines.append(f"# TYPE peepsd_{name} {kind}")
            lines.append(f"peepsd_{name} {numbers[name]:.15g}")
    return "\n".join(lines) + "\n"
