import json

from peepsd.cli.feed_report import inspection_lines
from peepsd.feed.inspection import Gap, Inspection
from peepsd.feed.pb import introspection_pb2 as pb
from peepsd.feed.recording import Damage, Record


def record(**payload: object) -> Record:
    return Record(0, pb.ServerMessage(**payload).SerializeToString())  # type: ignore[arg-type]


def state(start: int, instant: int, duration: int = 1_000) -> Record:
    return record(state=pb.State(start_ts=start, instant_ts=instant, snapshot_duration_ms=duration))


def test_gaps_are_what_no_state_tells_of() -> None:
    inspection = Inspection()
    for item in (
        state(0, 1_000),
        state(1_000, 2_000),
        state(2_100, 3_100),  # jitter
        state(9_100, 10_100),  # six seconds of nothing
        state(0, 11_100),  # start missing: estimated, and no gap
    ):
        inspection.add(item)
    assert inspection.gaps == [Gap(10_100, 6_000)]
    assert inspection.span_ms == (1_000, 11_100)


def test_a_clock_that_was_set_back_is_told() -> None:
    inspection = Inspection()
    for item in (state(9_000, 10_000), state(2_000, 3_000), state(3_000, 4_000)):
        inspection.add(item)
    assert inspection.gaps == []
    assert inspection.to_dict()["clock_set_back"] == [{"before_instant_ts": 3_000, "by_ms": 7_000}]
    assert "set back by 7.0 s before" in "\n".join(inspection_lines(inspection))


def test_losses_damage_and_what_is_no_message_are_counted() -> None:
    inspection = Inspection()
    notice = pb.ServerNotice(discarded_events=3, discarded_states=1)
    inspection.add(record(notice=notice))
    inspection.add(record(notice=notice))
    inspection.add(Damage(40, 10, "a checksum is wrong"))
    inspection.add(Record(0, b"\xff\xff"))
    inspection.add(Record(0, b""))
    inspection.add(record(trace=pb.Trace(spans=[pb.Trace.Span(), pb.Trace.Span()])))
    found = inspection.to_dict()
    assert found["discarded"] == {"events": 6, "states": 2, "traces": 0}
    assert found["damage"] == [{"offset": 40, "bytes": 10, "reason": "a checksum is wrong"}]
    assert found["records"] == {"notice": 2, "undecodable": 1, "empty": 1, "trace": 1}
    assert found["spans"] == 2
    assert found["from_ms"] == 0
    json.dumps(found)


def test_ids_that_are_absurdly_long_are_kept_short() -> None:
    inspection = Inspection()
    long_id, streams = b"c" * 100_000, [pb.Stream(id=bytes([n])) for n in range(200)]
    for start in (0, 1_000):
        connection = pb.Connection(id=long_id, streams=pb.StreamList(streams=streams))
        subsystems = pb.Subsystems(connections=[connection])
        inspection.add(record(state=pb.State(instant_ts=start + 1_000, subsystems=subsystems)))
    assert (len(inspection.connection_ids), len(inspection.stream_ids)) == (1, 200)
    kept = {id(part): len(part) for pair in inspection.stream_ids for part in pair}
    assert sum(kept.values()) < 20_000
