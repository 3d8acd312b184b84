"""The generated messages are those of proto/introspection.proto, with the numbers of the wire."""

import subprocess
import sys
from pathlib import Path

import pytest

from peepsd.feed.pb import introspection_pb2 as pb

ROOT = Path(__file__).parents[2]
GENERATED = ROOT / "daemon/peepsd/feed/pb"


def test_generated_code_is_that_of_the_source(tmp_path: Path) -> None:
    pytest.importorskip("grpc_tools", reason="grpcio-tools is not installed")
    command = [sys.executable, "-W", "ignore", "-m", "grpc_tools.protoc", "-Iproto"]
    command += [f"--python_out={tmp_path}", f"--pyi_out={tmp_path}", "proto/introspection.proto"]
    subprocess.run(command, cwd=ROOT, check=True, timeout=120)
    for name in ("introspection_pb2.py", "introspection_pb2.pyi"):
        assert (GENERATED / name).read_text() == (tmp_path / name).read_text(), (
            f"{name} is stale: run make proto"
        )


NUMBERS = {
    "Version": {"version": 1},
    "ResultCounter": {"total": 1, "ok": 2, "err": 3},
    "DataGauge": {"cum_bytes": 1, "cum_packets": 2, "inst_bw": 3},
    "EventType": {"name": 1, "property_types": 2},
    "EventType.EventProperty": {"name": 1, "type": 2, "has_multiple": 3},
    "EndpointPair": {"src_multiaddr": 1, "dst_multiaddr": 2},
    "Traffic": {"traffic_in": 1, "traffic_out": 2},
    "StreamList": {"stream_ids": 1, "streams": 2},
    "Connection": {
        "id": 1,
        "peer_id": 2,
        "status": 3,
        "transport_id": 4,
        "endpoints": 5,
        "timeline": 6,
        "role": 7,
        "traffic": 8,
        "attribs": 9,
        "latency_ns": 10,
        "streams": 11,
        "conn_id": 16,
        "conn": 17,
        "user_provided_tags": 99,
    },
    "Connection.Timeline": {"open_ts": 1, "upgraded_ts": 2, "close_ts": 3},
    "Connection.Attributes": {"multiplexer": 1, "encryption": 2},
    "Stream": {
        "id": 1,
        "protocol": 2,
        "role": 3,
        "traffic": 4,
        "conn": 5,
        "timeline": 6,
        "status": 7,
        "latency_ns": 16,
        "user_provided_tags": 99,
    },
    "Stream.ConnectionRef": {"conn": 1, "conn_id": 2},
    "Stream.Timeline": {"open_ts": 1, "close_ts": 2},
    "DHT": {
        "protocol": 1,
        "enabled": 2,
        "start_ts": 3,
        "params": 4,
        "buckets": 5,
        "incoming_queries": 6,
        "outgoing_queries": 7,
    },
    "DHT.Params": {"k": 1, "alpha": 2, "disjoint_paths": 3, "beta": 4},
    "DHT.PeerInDHT": {"peer_id": 1, "status": 2, "age_in_bucket": 3},
    "DHT.Bucket": {"cpl": 1, "peers": 2},
    "DHT.QueryGauge": {"success": 1, "error": 2, "timeout": 3},
    "Subsystems": {"connections": 1, "dht": 2},
    "State": {
        "subsystems": 1,
        "traffic": 2,
        "instant_ts": 3,
        "start_ts": 4,
        "snapshot_duration_ms": 5,
    },
    "Event": {"type": 1, "ts": 2, "content": 3},
    "Runtime": {
        "implementation": 1,
        "version": 2,
        "platform": 3,
        "peer_id": 4,
        "retention_period_ms": 5,
        "send_state_interval_ms": 6,
        "event_types": 7,
    },
    "ServerMessage": {
        "version": 1,
        "state": 2,
        "runtime": 3,
        "event": 4,
        "response": 5,
        "notice": 6,
        "trace": 7,
    },
    "ClientSignal": {"version": 1, "signal": 2, "data_source": 3, "content": 4},
    "ClientCommand": {"version": 1, "id": 2, "command": 3, "source": 4, "config": 5},
    "Configuration": {"retention_period_ms": 1, "state_snapshot_interval_ms": 2},
}


@pytest.mark.parametrize(("name", "numbers"), NUMBERS.items())
def test_field_numbers(name: str, numbers: dict[str, int]) -> None:
    descriptor = pb.DESCRIPTOR.message_types_by_name[name.partition(".")[0]]
    if "." in name:
        descriptor = descriptor.nested_types_by_name[name.partition(".")[2]]
    assert {field.name: field.number for field in descriptor.fields} == numbers


@pytest.mark.parametrize(
    ("enum", "values"),
    [
        (pb.Status, {"ACTIVE": 0, "CLOSED": 1, "OPENING": 2, "CLOSING": 3, "ERROR": 4}),
        (pb.Role, {"INITIATOR": 0, "RESPONDER": 1}),
        (
            pb.EventType.EventProperty.PropertyType,
            {"STRING": 0, "NUMBER": 1, "TIME": 10, "PEERID": 11, "MULTIADDR": 12, "JSON": 90},
        ),
        (
            pb.DHT.PeerInDHT.Status,
            {"ACTIVE": 0, "MISSING": 1, "REJECTED": 2, "CANDIDATE": 3},
        ),
        (
            pb.ClientSignal.Signal,
            {
                "SEND_DATA": 0,
                "PAUSE_PUSH_EMITTER": 1,
                "UNPAUSE_PUSH_EMITTER": 2,
                "CONFIG_EMITTER": 10,
                "START_PUSH_EMITTER": 11,
                "STOP_PUSH_EMITTER": 12,
            },
        ),
        (pb.ClientSignal.DataSource, {"STATE": 0, "RUNTIME": 1, "EVENTS": 2, "TRACE": 3}),
        (
            pb.ClientCommand.Command,
            {
                "HELLO": 0,
                "REQUEST": 1,
                "PUSH_ENABLE": 2,
                "PUSH_DISABLE": 3,
                "PUSH_PAUSE": 4,
                "PUSH_RESUME": 5,
                "UPDATE_CONFIG": 7,
            },
        ),
        (pb.ClientCommand.Source, {"STATE": 0, "RUNTIME": 1, "EVENTS": 2, "TRACE": 3}),
        (pb.CommandResponse.Result, {"OK": 0, "ERR": 1}),
    ],
    ids=lambda value: value.DESCRIPTOR.full_name if hasattr(value, "DESCRIPTOR") else None,
)
def test_enum_numbers(enum: type[pb.Status], values: dict[str, int]) -> None:
    assert dict(enum.items()) == values
