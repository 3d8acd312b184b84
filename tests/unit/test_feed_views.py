"""What people read of the feed."""

import io
import re

import pytest
from rich.console import Console

from peepsd.cli.feed_report import inspection_lines
from peepsd.cli.feed_views import LiveView, share_of
from peepsd.cli.feed_words import age, clock, duration, event_line, size, stamp
from peepsd.feed.client import Connected, Lost, Received
from peepsd.feed.inspection import Inspection
from peepsd.feed.pb import introspection_pb2 as pb
from peepsd.feed.recording import Damage, Record

from ..support.recordings import a_state


def drawn(view: LiveView, console: Console) -> str:
    view.print()
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def make_view(width: int = 120) -> tuple[LiveView, Console]:
    console = Console(file=io.StringIO(), width=width)
    return LiveView("ws://d/introspect", console), console


def received(**payload: object) -> Received:
    message = pb.ServerMessage(**payload)  # type: ignore[arg-type]
    return Received(message.SerializeToString(), message)


def test_a_live_view_shows_processes_the_last_snapshot_and_events() -> None:
    view, console = make_view()
    assert not view.has_state
    view.update(Connected("ws://d/introspect"))
    view.update(received(runtime=pb.Runtime(implementation="peeps-python", peer_id="box-1")))
    state = a_state(1)
    state.subsystems.connections[0].streams.streams[0].latency_ns = 2_500_000_000
    view.update(received(state=state))
    content = '{"proc_key": "svc-1", "snapshot_id": 7}'
    kind = pb.EventType(name="ProcessTimedOut")
    view.update(received(event=pb.Event(type=kind, ts=state.instant_ts, content=content)))
    spans = [
        pb.Trace.Span(
            peer_id="quick-1", outcome=pb.Trace.RESPONDED, queued_ns=1, stored_ns=9_000_001
        ),
        pb.Trace.Span(peer_id="never-2", outcome=pb.Trace.TIMEOUT, queued_ns=1),
    ]
    completed = state.instant_ts * 1_000_000
    trace = pb.Trace(snapshot_id=7, elapsed_ms=12.5, completed_ns=completed, spans=spans)
    view.update(received(trace=trace))
    assert view.has_state
    text = drawn(view, console)
    for expected in (
        "connected to ws://d/introspect",
        "peeps-python",
        "peer1",
        "2.5 s",
        "ProcessTimedOut",
        "proc_key=svc-1 snapshot_id=7",
        "snapshot 7, 12.5 ms",
        "timeout",
        "9.0 ms",
    ):
        assert expected in text
    assert text.index("never-2") < text.index("quick-1")  # the slowest first


def test_nothing_that_a_process_says_steers_the_terminal() -> None:
    view, console = make_view()
    nasty = "evil\x1b]0;title\x07\x1b[2J[bold]\u202e"
    state = a_state(1, peers=0)
    state.subsystems.connections.add(peer_id=nasty)
    view.update(received(runtime=pb.Runtime(implementation=nasty, peer_id=nasty)))
    view.update(received(state=state))
    kind = pb.EventType(name=nasty)
    for content in (nasty, '{"a": "\\u001b[2J"}', "[1]"):
        event = pb.Event(type=kind, ts=state.instant_ts, content=content)
        view.update(received(event=event))
    view.update(Lost(nasty, 1.0))
    text = drawn(view, console)
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "\u202e" not in text
    assert "[bold]" in text  # shown, not obeyed


@pytest.mark.parametrize("width", [50, 80, 200])
def test_the_events_have_their_time_and_name_however_narrow_it_is(width: int) -> None:
    view, console = make_view(width)
    content = '{"latency_ms": 29.871231, "names": ["a", "b"], "more": "' + "x" * 300 + '"}'
    kind = pb.EventType(name="ProcessReplied")
    view.update(received(event=pb.Event(type=kind, ts=1_700_000_000_000, content=content)))
    *_, line = drawn(view, console).rstrip().splitlines()
    assert line.startswith(f"{clock(1_700_000_000_000)} ProcessReplied       latency_ms=29.9")
    assert line.endswith("…")
    assert len(line) <= width


def test_a_line_for_each_event_is_whole() -> None:
    kind = pb.EventType(name="Dial")
    content = '{"peers": ["' + "p" * 1_000 + '"], "ok": true, "n": 3.0, "no": null}'
    line = event_line(pb.Event(type=kind, content=content))
    assert line.endswith(f'Dial peers=["{"p" * 1_000}"] ok=true n=3 no=null')
    endless = event_line(pb.Event(type=kind, content="x" * 10_000))
    assert (endless[-2:], len(endless) < 5_000) == ("x…", True)


def test_a_long_name_has_the_room_that_there_is() -> None:
    view, console = make_view(200)
    state = a_state(1, peers=0)
    state.subsystems.connections.add(peer_id="p" * 64)
    view.update(received(state=state))
    assert "p" * 64 in drawn(view, console)


@pytest.mark.parametrize(
    ("lines", "there", "room"),
    [
        (19, (3, 3, 5), (8, 3, 5)),
        (19, (500, 500, 500), (6, 4, 5)),  # and a line for those that are left out
        (19, (500, 0, 0), (17, 0, 0)),
        (95, (10, 500, 500), (68, 12, 12)),
        (1, (5, 5, 5), (1, 1, 1)),
    ],
)
def test_a_screen_is_shared(
    lines: int, there: tuple[int, int, int], room: tuple[int, int, int]
) -> None:
    processes, spans, events = there
    assert share_of(lines, processes=processes, spans=spans, events=events) == room


def test_a_screen_tells_who_is_left_out_and_shows_those_that_keep_somebody_waiting() -> None:
    console = Console(file=io.StringIO(), width=100, height=24, force_terminal=True)
    view = LiveView("ws://d/introspect", console)
    state = a_state(1, peers=0)
    for n in range(200):
        state.subsystems.connections.add(peer_id=f"svc-{n:03}")
    state.subsystems.connections[-1].streams.streams.add(latency_ns=9)
    view.update(received(state=state))
    with view.shown(hidden=False):
        text = drawn(view, console)
    assert "svc-199" in text
    assert "svc-150" not in text
    assert re.search(r"and 1\d\d more", text)


def test_what_is_shown_of_a_server_that_is_lost_is_old() -> None:
    view, console = make_view()
    view.update(Lost("nobody answers", 1.0))
    view.update(received(state=a_state(1)))
    view.update(Lost("it broke", 1.0))
    assert f"it broke; trying again; this is how it was at {clock(a_state(1).instant_ts)}" in (
        drawn(view, console)
    )


def test_losses_and_an_empty_house_are_said() -> None:
    view, console = make_view(60)
    view.update(received(state=pb.State(instant_ts=1)))
    view.update(received(notice=pb.ServerNotice(discarded_events=3)))
    text = drawn(view, console)
    assert "nobody is connected" in text
    assert "missed 3 events" in text


def test_a_report_names_gaps_losses_and_damage() -> None:
    found = Inspection()
    for n in (1, 2, 60):
        message = pb.ServerMessage(state=a_state(n))
        found.add(Record(0, message.SerializeToString()))
    notice = pb.ServerMessage(notice=pb.ServerNotice(discarded_states=2))
    found.add(Record(0, notice.SerializeToString()))
    found.add(Damage(40, 9, "a checksum is wrong"))
    report = "\n".join(inspection_lines(found))
    assert "5.7 s missing before" in report
    assert "2 states (the recorder was too slow)" in report
    assert "9 bytes at offset 40: a checksum is wrong" in report
    assert "1 buckets, 2 peers" in report
    assert "is it a recording?" in next(inspection_lines(Inspection()))


def test_a_report_stays_short_however_much_is_damaged() -> None:
    found = Inspection()
    for n in range(5_000):
        found.add(Damage(40 * n, 9, "a checksum is wrong"))
    report = list(inspection_lines(found))
    assert len(report) < 40
    assert "unreadable    4980 more; --json tells all" in report


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.0 kB"),
        (94_020_550_474, "94.0 GB"),
        (5e15, "5000.0 TB"),
    ],
)
def test_sizes(count: float, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0.5, "0.5 ms"),
        (12.0, "12 ms"),
        (1_500, "1.5 s"),
        (61_000, "1 min 01 s"),
        (3_661_000, "1 h 01 min"),
    ],
)
def test_durations(ms: float, text: str) -> None:
    assert duration(ms) == text


@pytest.mark.parametrize(
    ("ms", "text"),
    [(-5, "0s"), (59_400, "59s"), (720_000, "12m"), (11_100_000, "3h05m"), (4e8, "4d")],
)
def test_ages(ms: float, text: str) -> None:
    assert age(ms) == text


def test_a_terminal_of_80_columns_shows_every_column() -> None:
    view, console = make_view(width=80)
    state = a_state(1, peers=1)
    state.subsystems.connections[0].peer_id = "a-process-with-a-name-longer-than-most-12345"
    state.subsystems.connections[0].traffic.traffic_out.cum_bytes = 987_600_000_000
    view.update(received(state=state))
    header, row = drawn(view, console).splitlines()[-2:]
    columns = "process state age latency waiting in/s out/s in out"
    assert " ".join(header.split()) == columns
    assert row.startswith("a-process-with")
    assert row.rstrip().endswith("988 GB")


def test_times_of_any_size_are_shown() -> None:
    assert stamp(1_592_210_384_773) == "2020-06-15 08:39:44 UTC"
    assert stamp(2**64 - 1).startswith("9999")
    assert len(clock(2**64 - 1)) == 8
