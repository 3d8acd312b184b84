"""Who makes room for a newcomer."""

import pytest

from peepsd.core.crowding import MOMENT_NS, SEARCH_EVERY_NS, Crowd, silent
from peepsd.core.registry import Peer, Registry

NOW = 10 * MOMENT_NS


def connect(
    registry: Registry, *, age_ns: int = 2 * MOMENT_NS, dialled: bool = False, host: str = "there"
) -> Peer:
    peer = registry.new_peer(
        local_address="here:1",
        remote_address=f"{host}:{len(registry)}",
        now_ns=NOW - age_ns,
        ask=lambda request: True,
        initiated_by_us=dialled,
    )
    registry.admit(peer)
    return peer


def test_those_that_were_asked_and_missed_it_come_first_the_eldest_of_them_before() -> None:
    registry = Registry()
    ages = [3, 5, 4, 6]
    a, b, c, d = (connect(registry, age_ns=n * MOMENT_NS) for n in ages)
    for peer in (a, b, c):
        peer.first_asked_s = 1.0
    a.misses = c.misses = 1
    assert silent(registry.peers(), NOW) == [c, a, d, b]


def test_hosts_with_many_silent_connections_give_up_theirs_first() -> None:
    registry = Registry()
    eldest = connect(registry, age_ns=9 * MOMENT_NS, host="[::1]")
    a, b, c, d = (connect(registry, age_ns=n * MOMENT_NS, host="crowd") for n in (3, 5, 4, 6))
    assert silent(registry.peers(), NOW) == [d, b, c, eldest, a]
    eldest.misses = 1
    assert silent(registry.peers(), NOW)[0] is eldest


def test_nobody_leaves_while_being_asked() -> None:
    registry = Registry()
    peers = [connect(registry) for _ in range(10)]
    crowd = Crowd(registry)
    assert crowd.leaver(NOW) is peers[0]  # the others are next
    for peer in peers:
        peer.note_asked(1, NOW)
    assert crowd.leaver(NOW) is None
    assert crowd.leaver(NOW + SEARCH_EVERY_NS) is None
    for peer in peers:
        peer.note_over(1)
    assert crowd.leaver(NOW + 2 * SEARCH_EVERY_NS) is peers[0]


@pytest.mark.parametrize("why", ["it sent a byte", "it is new", "we dialled it", "it is asked"])
def test_who_stays(why: str) -> None:
    registry = Registry()
    age = MOMENT_NS - 1 if why == "it is new" else MOMENT_NS
    peer = connect(registry, age_ns=age, dialled=why == "we dialled it")
    peer.bytes_in = 1 if why == "it sent a byte" else 0
    if why == "it is asked":
        peer.note_asked(1, NOW)
    assert Crowd(registry).leaver(NOW) is None


def test_each_leaves_once_unless_it_has_gone_or_spoken_meanwhile() -> None:
    registry = Registry()
    first, gone, spoke, last = (connect(registry, age_ns=n * MOMENT_NS) for n in (9, 8, 7, 6))
    crowd = Crowd(registry)
    assert crowd.leaver(NOW) is first
    registry.disconnect(gone.connection_id)
    spoke.bytes_in = 4
    assert crowd.leaver(NOW) is last
    assert crowd.leaver(NOW) is None


def test_everybody_is_looked_through_once_in_a_while_only() -> None:
    registry = Registry()
    crowd = Crowd(registry)
    assert crowd.leaver(NOW) is None
    peer = connect(registry)
    assert crowd.leaver(NOW + SEARCH_EVERY_NS - 1) is None
    assert crowd.leaver(NOW + SEARCH_EVERY_NS) is peer
