import gc
import weakref

from peepsd.core.happenings import ProcessConnected, ProcessDisconnected, ProcessIdentified
from peepsd.core.registry import Peer, Registry
from peepsd.feed.pb import introspection_pb2 as pb
from peepsd.feed.state_builder import MAX_CLOSED, SNAPSHOT_PROTOCOL, StateBuilder

MS = 1_000_000
T0 = 1_700_000_000_000


class House:
    """A registry and a builder that hears of everything."""

    def __init__(self) -> None:
        self.registry = Registry()
        self.builder = StateBuilder(self.registry)

    def connect(self, pid: int = 1, *, by_us: bool = False) -> Peer:
        peer = self.registry.new_peer(
            local_address="127.0.0.1:9119",
            remote_address="10.0.0.9:40000",
            now_ns=T0 * MS,
            ask=lambda _request: True,
            initiated_by_us=by_us,
        )
        self.registry.admit(peer)
        self.builder.note(ProcessConnected(T0 * MS, peer.connection_id, "10.0.0.9:40000"))
        self.registry.identify(peer, "Svc", pid)
        at_ns = (T0 + 5) * MS
        self.builder.note(ProcessIdentified(at_ns, peer.connection_id, peer.proc_key, "Svc", pid))
        return peer

    def disconnect(self, peer: Peer, at_ms: int) -> None:
        self.registry.disconnect(peer.connection_id)
        self.builder.note(
            ProcessDisconnected(at_ms * MS, peer.connection_id, peer.proc_key, "gone")
        )

    def state(
        self, at_ms: int = T0 + 1000, retention_ms: int = 10_000, elapsed_s: float = 1.0
    ) -> pb.State:
        return self.builder.build(
            instant_ms=at_ms,
            retention_ms=retention_ms,
            elapsed_s=elapsed_s,
        )


def test_a_process_is_a_connection() -> None:
    house = House()
    peer = house.connect()
    peer.last_latency_ns, peer.agent, peer.host = 1_500, "peeps-python/0.1.0", "box"
    [connection] = house.state().subsystems.connections
    assert connection.id == (1).to_bytes(8, "little")
    assert connection.peer_id == "svc-1"
    assert connection.status == pb.ACTIVE
    assert connection.role == pb.RESPONDER
    assert connection.endpoints.src_multiaddr == "/ip4/10.0.0.9/tcp/40000"
    assert connection.endpoints.dst_multiaddr == "/ip4/127.0.0.1/tcp/9119"
    assert connection.timeline.open_ts == T0
    assert connection.timeline.upgraded_ts == T0 + 5
    assert connection.timeline.close_ts == 0
    assert connection.latency_ns == 1_500
    assert list(connection.user_provided_tags) == [
        "process=Svc",
        "host=box",
        "agent=peeps-python/0.1.0",
    ]


def test_one_that_we_dialled_is_ours() -> None:
    house = House()
    house.connect(by_us=True)
    [connection] = house.state().subsystems.connections
    assert connection.role == pb.INITIATOR
    assert connection.endpoints.dst_multiaddr == "/ip4/10.0.0.9/tcp/40000"


def test_traffic_counts_and_bandwidth_is_of_the_last_interval() -> None:
    house = House()
    first, second = house.connect(1), house.connect(2)
    first.bytes_in, first.frames_in, second.bytes_out, second.frames_out = 5_000, 2, 300, 3
    house.state()
    first.bytes_in += 4_000
    state = house.state(T0 + 3_000, elapsed_s=2.0)
    gauge = state.subsystems.connections[0].traffic.traffic_in
    assert (gauge.cum_bytes, gauge.cum_packets, gauge.inst_bw) == (9_000, 2, 2_000)
    total = state.traffic
    assert (total.traffic_in.cum_bytes, total.traffic_in.inst_bw) == (9_000, 2_000)
    assert (total.traffic_out.cum_bytes, total.traffic_out.cum_packets) == (300, 3)
    assert total.traffic_out.inst_bw == 0


def test_one_that_left_is_shown_as_closed_for_the_retention_period() -> None:
    house = House()
    peer = house.connect()
    peer.bytes_in = 700
    house.state()
    house.disconnect(peer, T0 + 1_500)
    [connection] = house.state(T0 + 2_000).subsystems.connections
    assert connection.status == pb.CLOSED
    assert connection.timeline.close_ts == T0 + 1_500
    later = house.state(T0 + 60_000)
    assert not later.subsystems.connections
    assert later.traffic.traffic_in.cum_bytes == 700  # it did carry that


def test_one_that_came_and_went_between_two_states_is_not_lost() -> None:
    house = House()
    house.disconnect(house.connect(), T0 + 10)
    assert [c.status for c in house.state().subsystems.connections] == [pb.CLOSED]


def test_the_registry_is_right_even_if_nothing_was_published() -> None:
    registry = Registry()
    house = House()
    house.registry, house.builder = registry, StateBuilder(registry)
    peer = registry.new_peer(
        local_address="", remote_address="", now_ns=T0 * MS, ask=lambda _request: True
    )
    registry.admit(peer)
    assert [c.status for c in house.state().subsystems.connections] == [pb.ACTIVE]
    registry.disconnect(peer.connection_id)
    [connection] = house.state(T0 + 2_000).subsystems.connections
    assert connection.timeline.close_ts == T0 + 2_000


def test_a_snapshot_in_flight_is_a_stream() -> None:
    house = House()
    peer = house.connect()
    peer.in_flight[42] = T0 * MS
    [connection] = house.state(T0 + 250).subsystems.connections
    [stream] = connection.streams.streams
    assert stream.id == (42).to_bytes(8, "little")
    assert stream.protocol == SNAPSHOT_PROTOCOL
    assert stream.conn.conn_id == connection.id
    assert (stream.role, stream.status) == (pb.INITIATOR, pb.ACTIVE)
    assert stream.timeline.open_ts == T0
    assert stream.latency_ns == 250 * MS


def test_those_that_left_are_bounded() -> None:
    house = House()
    for n in range(MAX_CLOSED + 5):
        house.disconnect(house.connect(n), T0 + n)
    assert len(house.state().subsystems.connections) == MAX_CLOSED


def test_one_that_left_is_not_held() -> None:
    house = House()
    peer = house.connect()
    house.state()
    gone = weakref.ref(peer.ask)
    house.disconnect(peer, T0 + 10)
    del peer
    gc.collect()
    assert gone() is None
    assert house.state().subsystems.connections[0].status == pb.CLOSED
