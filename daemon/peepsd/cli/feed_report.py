"""The report of `peeps inspect`. Decides its lines, and that there are not too many."""

from collections.abc import Iterator

from ..feed.inspection import Inspection
from .feed_words import clock, duration, safe, size, stamp

MOST_LINES = 20
"""Gaps, peers, sorts of events and damaged places that are listed of each."""


def inspection_lines(found: Inspection) -> Iterator[str]:
    """The report, from the file as a whole to its single damages."""
    if not found.records:
        yield "nothing in it can be read: is it a recording?"
    counts = ", ".join(f"{count} {kind}" for kind, count in found.records.most_common())
    low, high = found.message_bytes
    yield f"records       {found.records.total()}" + (f" ({counts})" if counts else "")
    yield f"message bytes {found.total_bytes}, {low} to {high} each"
    yield from _server(found)
    yield from _times(found)
    yield from _node(found)
    events = [f"{count:>6} {safe(name)}" for name, count in found.event_types.most_common()]
    yield from _first_of("event         ", events)
    if found.discarded.total():
        what = ", ".join(f"{count} {name}" for name, count in found.discarded.items() if count)
        yield f"not recorded  {what} (the recorder was too slow)"
    damage = [f"{d.length} bytes at offset {d.offset}: {d.reason}" for d in found.damage]
    yield from _first_of("unreadable    ", damage)


def _server(found: Inspection) -> Iterator[str]:
    """Who was recorded, and under which settings."""
    if (runtime := found.runtime) is not None:
        name = f"{runtime.implementation} {runtime.version} on {runtime.platform}"
        yield f"recorded from {safe(name)}, {safe(runtime.peer_id)}"
    if found.interval_ms:
        kept = f", kept for {duration(found.retention_ms)}" if found.retention_ms else ""
        yield f"states        every {duration(found.interval_ms)}{kept}"


def _times(found: Inspection) -> Iterator[str]:
    """From when to when, and what is missing in between."""
    begin, end = found.span_ms
    if end:
        yield f"time          {stamp(begin)} to {stamp(end)}, {duration(end - begin)}"
    gaps = [
        f"{duration(g.missing_ms)} missing before {clock(g.before_instant_ts)}" for g in found.gaps
    ]
    yield from _first_of("gap           ", gaps)
    set_back = [
        f"set back by {duration(s.by_ms)} before {clock(s.before_instant_ts)}"
        for s in found.set_back
    ]
    yield from _first_of("clock         ", set_back)


def _node(found: Inspection) -> Iterator[str]:
    """What the States tell."""
    first, last = found.connections_first_last
    yield (
        f"connections   {len(found.connection_ids)} different, {first} at first, {last} at last,"
        f" {found.connection_rows} rows"
    )
    peers = [f"{count:>6} states, {safe(peer)}" for peer, count in found.peers.most_common()]
    yield from _first_of("peer          ", peers)
    yield f"streams       {len(found.stream_ids)} different, {found.stream_rows} rows"
    if (traffic := found.traffic) is not None:
        taken, given = traffic.traffic_in.cum_bytes, traffic.traffic_out.cum_bytes
        yield f"traffic       in {size(taken)}, out {size(given)}"
    if found.dht_buckets_peers[0]:
        buckets, peers_in_them = found.dht_buckets_peers
        yield f"dht           {buckets} buckets, {peers_in_them} peers"


def _first_of(title: str, lines: list[str]) -> Iterator[str]:
    """The first of them, and how many are left out."""
    yield from (title + line for line in lines[:MOST_LINES])
    if (left_out := len(lines) - MOST_LINES) > 0:
        yield f"{title}{left_out} more; --json tells all"
