"""What an observer keeps. R30."""

from peepsd.feed.history import DEFAULT_RETENTION_MS, History
from peepsd.feed.pb import introspection_pb2 as pb


def message(**payload: object) -> pb.ServerMessage:
    return pb.ServerMessage(**payload)  # type: ignore[arg-type]


def state(instant: int) -> pb.ServerMessage:
    return message(state=pb.State(instant_ts=instant))


def event(ts: int, name: str = "E") -> pb.ServerMessage:
    return message(event=pb.Event(type=pb.EventType(name=name), ts=ts))


def kept(history: History) -> tuple[list[int], list[int], list[int]]:
    return (
        [s.instant_ts for s in history.states],
        [e.ts for e in history.events],
        [t.snapshot_id for t in history.traces],
    )


def test_r30_what_is_older_than_the_retention_is_discarded() -> None:
    history = History()
    history.add(message(runtime=pb.Runtime(retention_period_ms=1_000)))
    for at in (1_000, 1_500, 2_000):
        history.add(state(at))
        history.add(event(at))
        history.add(message(trace=pb.Trace(snapshot_id=at, completed_ns=at * 1_000_000)))
    assert kept(history) == ([1_000, 1_500, 2_000],) * 3
    history.add(event(2_600))
    assert kept(history) == ([2_000], [2_000, 2_600], [2_000])
    assert history.event_counts == {"E": 4}


def test_r30_a_shorter_retention_applies_at_once() -> None:
    history = History()
    assert history.retention_ms == DEFAULT_RETENTION_MS
    for at in (1_000, 2_000, 3_000):
        history.add(state(at))
    history.add(message(runtime=pb.Runtime(retention_period_ms=1_000)))
    assert kept(history)[0] == [2_000, 3_000]
    config = pb.Configuration(retention_period_ms=500)
    history.add(message(response=pb.CommandResponse(effective_config=config)))
    assert kept(history)[0] == [3_000]
    history.add(message(runtime=pb.Runtime()))  # a Runtime that does not tell
    assert history.retention_ms == 500


def test_an_old_event_that_comes_late_is_taken_in_and_goes_in_its_turn() -> None:
    history = History()
    history.add(message(runtime=pb.Runtime(retention_period_ms=1_000)))
    history.add(event(5_000))
    history.add(event(4_500))
    assert kept(history)[1] == [5_000, 4_500]
    history.add(event(6_200))
    assert kept(history)[1] == [6_200]


def test_what_the_server_discarded_is_summed() -> None:
    history = History()
    for _ in range(2):
        history.add(message(notice=pb.ServerNotice(discarded_events=2, discarded_traces=1)))
    rejected = pb.ServerNotice(kind=pb.ServerNotice.REJECTED_SIGNAL, detail="no")
    history.add(message(notice=rejected))
    assert history.discarded_by_server == {"events": 4, "states": 0, "traces": 2}
    assert history.latest_state is None


def test_a_clock_that_is_set_back_is_followed() -> None:
    history = History()
    for at in (10_000_000, 10_001_000):
        history.add(state(at))
    history.add(event(2_000_500))  # dated by the new clock already
    history.add(state(2_001_000))
    history.add(state(2_002_000))
    assert [s.instant_ts for s in history.states] == [2_001_000, 2_002_000]
    history.add(event(2_002_500))
    assert history.events[-1].ts == 2_002_500
    history.add(state(2_002_000 + history.retention_ms + 1))
    assert [s.instant_ts for s in history.states] == [2_002_000 + history.retention_ms + 1]
