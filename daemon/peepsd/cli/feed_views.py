"""What people see of the feed: the live view of `peeps watch`, the report of `peeps inspect`.

Decides columns, colours and words. Whatever comes from a process is made safe for a terminal.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ..core.identity import safe_text
from ..feed.client import Connected, Lost, Received, Update
from ..feed.history import History
from ..feed.inspection import Inspection
from ..feed.pb import introspection_pb2 as pb
from ..feed.websocket import shown

EVENT_LINES = 12
INSPECTED_LINES = 20
"""Gaps, sorts of events and damaged places that `peeps inspect` lists of each."""
MAX_TEXT = 160
_OTHER_COLUMNS = 64
"""What the table of processes needs beside their names."""

_STATUS_STYLES = {pb.ACTIVE: "green", pb.CLOSED: "dim", pb.ERROR: "red"}
_OUTCOME_STYLES = {pb.Trace.RESPONDED: "green", pb.Trace.TIMEOUT: "yellow"}
_EVENT_STYLES = {
    "ProcessTimedOut": "yellow",
    "IngestEvent": "red",
    "ProcessDisconnected": "yellow",
    "SnapshotCompleted": "bold",
}


class LiveView:
    """Brought up to date by `update`; draws itself at most ten times a second."""

    def __init__(self, url: str, console: Console | None = None) -> None:
        self._url = url
        self._console = console or Console(highlight=False)
        self._history = History()
        self._status = Text("connecting", "yellow")
        self._live: Live | None = None

    @property
    def has_state(self) -> bool:
        """Whether there is something to show."""
        return self._history.latest_state is not None

    @contextmanager
    def shown(self, hidden: bool) -> Iterator[None]:
        """Keep the screen up to date inside; `hidden`: do not draw."""
        if hidden:
            yield
            return
        with Live(
            get_renderable=self.render,
            console=self._console,
            screen=True,
            refresh_per_second=10,
        ) as self._live:
            yield

    def update(self, update: Update) -> None:
        """Note what came."""
        match update:
            case Received(message=message):
                self._history.add(message)
            case Connected(url=url):
                self._status = Text(f"connected to {url}", "green")
            case Lost(reason=reason):
                self._status = Text(f"{_safe(reason)}; trying again", "red")

    def print(self) -> None:
        """The present picture, once."""
        self._console.print(self.render())

    def render(self) -> RenderableType:
        """The present picture."""
        parts: list[RenderableType] = [self._header()]
        state = self._history.latest_state
        if state is not None:
            parts.append(_processes(state, self._console.width))
        if self._history.traces:
            parts.append(_trace(self._history.traces[-1]))
        parts.append(self._events())
        return Group(*parts)

    def _header(self) -> RenderableType:
        lines = [self._status]
        runtime, state = self._history.runtime, self._history.latest_state
        if runtime is not None:
            lines.append(
                Text(
                    f"{_safe(runtime.implementation)} {_safe(runtime.version)}"
                    f" on {_safe(runtime.platform)}, {_safe(runtime.peer_id)}"
                )
            )
        if state is not None:
            taken, given = state.traffic.traffic_in, state.traffic.traffic_out
            lines.append(
                Text(
                    f"in {size(taken.cum_bytes)} ({size(taken.inst_bw)}/s)   "
                    f"out {size(given.cum_bytes)} ({size(given.inst_bw)}/s)   "
                    f"at {clock(state.instant_ts)}"
                )
            )
        lost = self._history.discarded_by_server
        if lost.total():
            what = ", ".join(f"{count} {name}" for name, count in lost.items() if count)
            lines.append(Text(f"this view was too slow and missed {what}", "red"))
        return Panel(
            Text("\n").join(lines), title=f"peeps watch {shown(self._url)}", title_align="left"
        )

    def _events(self) -> RenderableType:
        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_column(style="dim", min_width=8)
        table.add_column(no_wrap=True, min_width=19)
        table.add_column(overflow="ellipsis", no_wrap=True)
        for event in list(self._history.events)[-EVENT_LINES:]:
            name = event.type.name
            table.add_row(
                clock(event.ts),
                Text(_safe(name), _EVENT_STYLES.get(name, "")),
                Text(_event_words(event)),
            )
        return table


def _processes(state: pb.State, width: int) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("process", no_wrap=True, overflow="ellipsis")
    table.columns[0].max_width = min(max(width - _OTHER_COLUMNS, 12), 40)
    table.add_column("state", min_width=6)
    table.add_column("age", justify="right", min_width=6)
    for name in ("latency", "waiting", "in/s", "out/s", "in", "out"):
        table.add_column(name, justify="right", min_width=7)
    ordered = sorted(state.subsystems.connections, key=lambda c: (c.status, c.peer_id))
    for connection in ordered:
        taken, given = connection.traffic.traffic_in, connection.traffic.traffic_out
        timeline = connection.timeline
        until = timeline.close_ts or state.instant_ts
        waiting = [stream.latency_ns for stream in connection.streams.streams]
        table.add_row(
            Text(_safe(connection.peer_id)),
            Text(
                pb.Status.Name(connection.status).lower(),
                _STATUS_STYLES.get(connection.status, "yellow"),
            ),
            age(until - timeline.open_ts) if timeline.open_ts else "",
            duration(connection.latency_ns / 1e6) if connection.latency_ns else "",
            Text(duration(max(waiting) / 1e6), "yellow") if waiting else "",
            size(taken.inst_bw),
            size(given.inst_bw),
            size(taken.cum_bytes),
            size(given.cum_bytes),
        )
    if not ordered:
        table.add_row(Text("nobody is connected", "dim"))
    return table


def _trace(trace: pb.Trace) -> Table:
    """The last snapshot: who took how long, slowest first."""
    title = f"snapshot {trace.snapshot_id}, {trace.elapsed_ms:.1f} ms"
    table = Table(box=None, pad_edge=False, header_style="bold", title=title, title_justify="left")
    table.add_column("process", no_wrap=True, overflow="ellipsis")
    table.add_column("outcome", min_width=12)
    for name in ("sent", "received", "decoded", "stored", "bytes"):
        table.add_column(name, justify="right", min_width=8)
    slowest = sorted(trace.spans, key=lambda s: s.stored_ns or 1 << 63, reverse=True)
    for span in slowest[:EVENT_LINES]:
        stages = (span.sent_ns, span.received_ns, span.decoded_ns, span.stored_ns)
        table.add_row(
            Text(_safe(span.peer_id)),
            Text(
                pb.Trace.Outcome.Name(span.outcome).lower(),
                _OUTCOME_STYLES.get(span.outcome, "red"),
            ),
            *(duration((at - span.queued_ns) / 1e6) if at else "-" for at in stages),
            size(span.reply_bytes),
        )
    return table


def event_line(event: pb.Event) -> str:
    """One event for people and grep."""
    return f"{clock(event.ts)} {_safe(event.type.name)} {_event_words(event)}"


def lost_words(notice: pb.ServerNotice) -> str:
    """What the server has discarded of what it owed us; empty: nothing."""
    count = notice.discarded_events + notice.discarded_states + notice.discarded_traces
    return f"missed {count} messages, {notice.discarded_events} of them events" if count else ""


def _event_words(event: pb.Event) -> str:
    try:
        content = json.loads(event.content)
        words = " ".join(f"{name}={value}" for name, value in content.items())
    except (ValueError, AttributeError, RecursionError):
        words = event.content
    return _safe(words)


def inspection_lines(found: Inspection) -> Iterator[str]:
    """The report of `peeps inspect`."""
    counts = ", ".join(f"{count} {kind}" for kind, count in found.records.most_common())
    low, high = found.message_bytes
    yield f"records       {found.records.total()} ({counts})"
    yield f"message bytes {found.total_bytes}, {low} to {high} each"
    if (runtime := found.runtime) is not None:
        name = f"{runtime.implementation} {runtime.version} on {runtime.platform}"
        yield f"recorded from {_safe(name)}, {_safe(runtime.peer_id)}"
    begin, end = found.span_ms
    if end:
        yield f"time          {stamp(begin)} to {stamp(end)}, {duration(end - begin)}"
    yield from _first_of(
        "gap           ",
        [
            f"{duration(g.missing_ms)} missing before {clock(g.before_instant_ts)}"
            for g in found.gaps
        ],
    )
    yield from _first_of(
        "clock         ",
        [
            f"set back by {duration(s.by_ms)} before {clock(s.before_instant_ts)}"
            for s in found.set_back
        ],
    )
    first, last = found.connections_first_last
    yield (
        f"connections   {len(found.connection_ids)} different, {first} at first, {last} at last,"
        f" {found.connection_rows} rows"
    )
    yield f"streams       {len(found.stream_ids)} different, {found.stream_rows} rows"
    if (traffic := found.traffic) is not None:
        taken, given = traffic.traffic_in.cum_bytes, traffic.traffic_out.cum_bytes
        yield f"traffic       in {size(taken)}, out {size(given)}"
    if found.dht_buckets_peers[0]:
        buckets, peers = found.dht_buckets_peers
        yield f"dht           {buckets} buckets, {peers} peers"
    yield from _first_of(
        "event         ",
        [f"{count:>6} {_safe(name)}" for name, count in found.event_types.most_common()],
    )
    if found.discarded.total():
        what = ", ".join(f"{count} {name}" for name, count in found.discarded.items() if count)
        yield f"not recorded  {what} (the recorder was too slow)"
    yield from _first_of(
        "unreadable    ",
        [f"{d.length} bytes at offset {d.offset}: {d.reason}" for d in found.damage],
    )


def _first_of(title: str, lines: list[str]) -> Iterator[str]:
    """The first of them, and how many are left out."""
    yield from (title + line for line in lines[:INSPECTED_LINES])
    if (left_out := len(lines) - INSPECTED_LINES) > 0:
        yield f"{title}{left_out} more; --json tells all"


def size(count: float) -> str:
    """Bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def duration(ms: float) -> str:
    """Milliseconds for people."""
    if ms < 1000:
        return f"{ms:.1f} ms" if ms < 10 else f"{ms:.0f} ms"
    seconds = ms / 1000
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {seconds:02} s"


def age(ms: float) -> str:
    """How long something has been there, in little room: 59s, 12m, 3h05m, 4d."""
    seconds = max(round(ms / 1000), 0)
    if seconds < 60:
        return f"{seconds}s"
    minutes = seconds // 60
    hours, minutes = divmod(minutes, 60)
    if not hours:
        return f"{minutes}m"
    return f"{hours}h{minutes:02}m" if hours < 48 else f"{hours // 24}d"


def clock(ms: int) -> str:
    """The time of day, here."""
    return datetime.fromtimestamp(_bounded(ms) / 1000).strftime("%H:%M:%S")


def stamp(ms: int) -> str:
    """Date and time in UTC."""
    return datetime.fromtimestamp(_bounded(ms) / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _bounded(ms: int) -> int:
    return min(max(ms, 0), 253_402_300_799_000)  # the year 9999


def _safe(text: str) -> str:
    return safe_text(text, MAX_TEXT)
