"""Recordings made up by the tests."""

from pathlib import Path

from peepsd.feed.pb import introspection_pb2 as pb
from peepsd.feed.recording import RecordingWriter

T0 = 1_600_000_000_000
INTERVAL_MS = 100


def connection(number: int, peer_id: str, streams: int = 1) -> pb.Connection:
    """An open connection of a libp2p node."""
    made = pb.Connection(id=number.to_bytes(4, "little"), peer_id=peer_id, role=pb.RESPONDER)
    made.endpoints.src_multiaddr, made.endpoints.dst_multiaddr = peer_id, "me"
    made.timeline.open_ts = T0 - 1_000
    made.traffic.traffic_in.cum_bytes = 10 * number
    made.traffic.traffic_out.cum_bytes = 20 * number
    made.latency_ns = 5_000_000
    made.attribs.multiplexer = "yamux"
    for n in range(streams):
        made.streams.streams.add(id=n.to_bytes(4, "little"), protocol="/ping/1", status=pb.ACTIVE)
    return made


def a_state(n: int, peers: int = 2) -> pb.State:
    """The n-th State of a node with some peers and a DHT."""
    state = pb.State(
        instant_ts=T0 + n * INTERVAL_MS,
        start_ts=T0 + (n - 1) * INTERVAL_MS,
        snapshot_duration_ms=INTERVAL_MS,
    )
    for number in range(1, peers + 1):
        state.subsystems.connections.append(connection(number, f"peer{number}"))
    bucket = state.subsystems.dht.buckets.add(cpl=3)
    bucket.peers.add(peer_id="peer1", status=pb.DHT.PeerInDHT.ACTIVE, age_in_bucket=7)
    bucket.peers.add(peer_id="far away", status=pb.DHT.PeerInDHT.MISSING)
    return state


def an_event(n: int, at_ms: int) -> pb.Event:
    """The n-th event."""
    return pb.Event(type=pb.EventType(name="Dial"), ts=at_ms, content=f'{{"n": {n}}}')


def write_recording(path: Path, states: int = 5, *, signal: bool = True) -> list[pb.ServerMessage]:
    """Runtime, then States with two events before each; returns the messages.

    signal: the Runtime tells the settings, as servers of the first generation do.
    """
    runtime = pb.Runtime(implementation="go-libp2p", version="2", platform="test", peer_id="me")
    if signal:
        runtime.retention_period_ms, runtime.send_state_interval_ms = 60_000, INTERVAL_MS
    version = pb.Version(version=1)
    messages = [pb.ServerMessage(version=version, runtime=runtime)]
    if not signal:
        config = pb.Configuration(
            retention_period_ms=30_000, state_snapshot_interval_ms=INTERVAL_MS
        )
        response = pb.CommandResponse(id=1, effective_config=config)
        messages.append(pb.ServerMessage(version=version, response=response))
    for n in range(states):
        for k in (2 * n, 2 * n + 1):
            event = an_event(k, T0 + n * INTERVAL_MS - 50 + 10 * k)
            messages.append(pb.ServerMessage(version=version, event=event))
        messages.append(pb.ServerMessage(version=version, state=a_state(n)))
    with path.open("wb") as file:
        writer = RecordingWriter(file)
        for message in messages:
            writer.write(message.SerializeToString())
    return messages
