"""What people see of the feed: the live view of `peeps watch`.

Decides columns, colours, and what of it a screen has room for.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ..feed.client import Connected, Lost, Received, Update
from ..feed.history import History
from ..feed.pb import introspection_pb2 as pb
from ..feed.websocket import shown
from .feed_words import age, clock, duration, event_words, safe, size

MOST_LINES = 12
"""Of events, and of one snapshot's processes."""
_HEADER_LINES = 5
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
                self._status = Text(f"{safe(reason)}; trying again", "red")
                if (state := self._history.latest_state) is not None:
                    self._status.append(f"; this is how it was at {clock(state.instant_ts)}")

    def print(self) -> None:
        """The present picture, once."""
        self._console.print(self.render())

    def render(self) -> RenderableType:
        """The present picture."""
        parts: list[RenderableType] = [self._header()]
        state = self._history.latest_state
        rows = self._rows()
        if state is not None:
            parts.append(_processes(state, self._console.width, rows.processes))
        if self._history.traces:
            parts.append(_trace(self._history.traces[-1], rows.spans))
        parts.append(self._events(rows.events))
        return Group(*parts)

    def _rows(self) -> "_Rows":
        """All processes where the picture is printed; on a screen everything gets its share."""
        if self._live is None:
            return _Rows(10**9, MOST_LINES, MOST_LINES)
        state, traces = self._history.latest_state, self._history.traces
        return share_of(
            self._console.height - _HEADER_LINES,
            processes=len(state.subsystems.connections) if state else 0,
            spans=len(traces[-1].spans) if traces else 0,
            events=len(self._history.events),
        )

    def _header(self) -> RenderableType:
        lines = [self._status]
        runtime, state = self._history.runtime, self._history.latest_state
        if runtime is not None:
            lines.append(
                Text(
                    f"{safe(runtime.implementation)} {safe(runtime.version)}"
                    f" on {safe(runtime.platform)}, {safe(runtime.peer_id)}"
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

    def _events(self, rows: int) -> RenderableType:
        lines = []
        for event in list(self._history.events)[-rows:]:
            line = Text(no_wrap=True, overflow="ellipsis")
            line.append(clock(event.ts), "dim")
            name = event.type.name
            line.append(f" {safe(name):<20} ", _EVENT_STYLES.get(name, ""))
            lines.append(line.append(event_words(event)))
        return Group(*lines)


class _Rows(NamedTuple):
    """How many lines each part of the picture may have."""

    processes: int
    spans: int
    events: int


def share_of(lines: int, *, processes: int, spans: int, events: int) -> _Rows:
    """So many lines of a screen, shared by what there is to show: none pushes another out."""
    lines -= 1  # the heads of the tables
    if spans:
        lines -= 2
        spans = min(spans, MOST_LINES, max(lines // 4, 1))
    events = min(events, MOST_LINES, max(lines // 3, 1))
    left = lines - spans - events
    return _Rows(max(left if processes <= left else left - 1, 1), spans, events)


def _processes(state: pb.State, width: int, rows: int) -> RenderableType:
    if not state.subsystems.connections:
        return Text("nobody is connected", "dim")
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("process", no_wrap=True, overflow="ellipsis")
    table.columns[0].max_width = max(width - _OTHER_COLUMNS, 12)
    table.add_column("state", min_width=6)
    table.add_column("age", justify="right", min_width=6)
    for name in ("latency", "waiting", "in/s", "out/s", "in", "out"):
        table.add_column(name, justify="right", min_width=7)
    ordered = sorted(state.subsystems.connections, key=_by_interest)
    for connection in ordered[:rows]:
        taken, given = connection.traffic.traffic_in, connection.traffic.traffic_out
        timeline = connection.timeline
        until = timeline.close_ts or state.instant_ts
        waiting = [stream.latency_ns for stream in connection.streams.streams]
        table.add_row(
            Text(safe(connection.peer_id)),
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
    if len(ordered) > rows:
        table.add_row(Text(f"and {len(ordered) - rows} more", "dim"))
    return table


def _by_interest(connection: pb.Connection) -> tuple[bool, int, str]:
    """Those that keep somebody waiting first, those that have left last."""
    return not connection.streams.streams, connection.status, connection.peer_id


def _trace(trace: pb.Trace, rows: int) -> Table:
    """The last snapshot: who took how long, slowest first."""
    title = f"snapshot {trace.snapshot_id}, {trace.elapsed_ms:.1f} ms"
    table = Table(box=None, pad_edge=False, header_style="bold", title=title, title_justify="left")
    table.add_column("process", no_wrap=True, overflow="ellipsis")
    table.add_column("outcome", min_width=12)
    for name in ("sent", "received", "decoded", "stored", "bytes"):
        table.add_column(name, justify="right", min_width=8)
    slowest = sorted(trace.spans, key=lambda s: s.stored_ns or 1 << 63, reverse=True)
    for span in slowest[:rows]:
        stages = (span.sent_ns, span.received_ns, span.decoded_ns, span.stored_ns)
        table.add_row(
            Text(safe(span.peer_id)),
            Text(
                pb.Trace.Outcome.Name(span.outcome).lower(),
                _OUTCOME_STYLES.get(span.outcome, "red"),
            ),
            *(duration((at - span.queued_ns) / 1e6) if at else "-" for at in stages),
            size(span.reply_bytes),
        )
    return table
