"""Identity, registry, session, limits, resolve, events, retention: small decisions, tables."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peeps.wire.messages import SnapshotRequest
from peepsd.core import identity, resolve, retention
from peepsd.core.events import MAX_OPEN_ROWS, MAX_WAITING_ROWS, WINDOW_NS, EventLedger
from peepsd.core.gather import Status, Verdict
from peepsd.core.happenings import Bus, Happening, IngestProblem
from peepsd.core.limits import PeerLimits
from peepsd.core.ration import EVERY_NS, MAX_SORTS, Ration
from peepsd.core.registry import CHRONIC_MISSES, REMEMBERED_REQUESTS, Peer, Registry
from peepsd.core.reply import HelloMessage
from peepsd.core.session import Answer, Session

# identity


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("web", "web"),
        ("caf\u0065\u0301", "caf\u00e9"),
        ("a\x1b[31mred", "a\ufffd[31mred"),
        ("\u202eevil", "\ufffdevil"),
        ("  ", "unknown"),
        ("", "unknown"),
        ("x" * 500, "x" * 128),
        ("\U0001f600" * 100, "\U0001f600" * 32),
    ],
)
def test_names_are_made_safe(name: str, safe: str) -> None:
    assert identity.safe_name(name) == safe


@given(st.text(max_size=400))
def test_safe_names_are_short_printable_and_stable(name: str) -> None:
    safe = identity.safe_name(name)
    assert 0 < len(safe.encode()) <= identity.MAX_NAME_BYTES
    assert not {unicodedata.category(c) for c in safe} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert identity.safe_name(safe) == safe


@pytest.mark.parametrize(
    ("name", "pid", "key"),
    [
        ("My Service", 12, "my-service-12"),
        ("a/b:c~d", 1, "a-b-c-d-1"),
        ("ok.v1_x-y", 0, "ok.v1_x-y-0"),
        ("unknown", None, "unknown-conn7"),
    ],
)
def test_proc_keys(name: str, pid: int | None, key: str) -> None:
    assert identity.base_key(name, pid, 7) == key


def test_twins_get_suffixes() -> None:
    assert identity.unique_key("a-1", ()) == "a-1"
    assert identity.unique_key("a-1", {"a-1", "a-1~2"}) == "a-1~3"


# registry


def connect(registry: Registry) -> Peer:
    peer = registry.new_peer(
        local_address="l", remote_address="r", now_ns=0, ask=lambda request: True
    )
    registry.admit(peer)
    return peer


def test_identities_are_unique_among_the_living_and_freed_by_death() -> None:
    registry = Registry()
    a, b = connect(registry), connect(registry)
    assert a.proc_key == "unknown-conn1"
    assert registry.identify(a, "web", 1)
    assert registry.identify(b, "web", 1)
    assert not registry.identify(b, "web", 1)
    assert (a.proc_key, b.proc_key) == ("web-1", "web-1~2")
    registry.disconnect(a.connection_id)
    c = connect(registry)
    registry.identify(c, "web", 1)
    assert c.proc_key == "web-1"
    assert registry.disconnect(99) is None
    assert [p.connection_id for p in registry.peers()] == [2, 3]


def test_a_peer_that_is_not_admitted_takes_part_in_nothing() -> None:
    registry = Registry()
    peer = registry.new_peer(local_address="", remote_address="", now_ns=0, ask=lambda r: True)
    registry.identify(peer, "web", 1)
    assert (len(registry), peer.proc_key) == (0, "")


def test_replies_out_of_season_are_told_apart() -> None:
    peer = connect(Registry())
    peer.note_asked(1, 0)
    peer.note_asked(2, 0)
    peer.note_answered(2)
    assert peer.what_is_reply(1) is Verdict.LATE
    assert peer.what_is_reply(2) is Verdict.DUPLICATE
    assert peer.what_is_reply(3) is Verdict.STRANGER
    for n in range(REMEMBERED_REQUESTS):
        peer.note_asked(10 + n, 0)
    assert peer.what_is_reply(1) is Verdict.STRANGER


def test_chronic_after_three_misses() -> None:
    peer = connect(Registry())
    peer.misses = CHRONIC_MISSES - 1
    assert not peer.is_chronic
    peer.misses += 1
    assert peer.is_chronic
    assert peer.ask(SnapshotRequest(1, 1))


# session

HELLO = HelloMessage("w", 1)
TOKEN = "sixteen letters!"


@pytest.mark.parametrize(
    ("token", "said", "answers", "admitted"),
    [
        (None, [HELLO], [Answer.TAKE], True),
        (None, [HELLO, HELLO], [Answer.TAKE, Answer.REPEATED], True),
        (None, ["reply", HELLO], [Answer.TAKE, Answer.TAKE], True),
        (TOKEN, ["reply"], [Answer.REFUSE], False),
        (TOKEN, [HELLO], [Answer.REFUSE], False),
        (TOKEN, [HelloMessage("w", 1, token="sixteen letters?")], [Answer.REFUSE], False),
        (TOKEN, [HelloMessage("w", 1, token=TOKEN), "reply"], [Answer.TAKE, Answer.TAKE], True),
    ],
)
def test_who_may_speak(
    token: str | None, said: list[object], answers: list[Answer], admitted: bool
) -> None:
    session = Session(token)
    got = [session.hello(m) if isinstance(m, HelloMessage) else session.other() for m in said]
    assert (got, session.is_admitted) == (answers, admitted)


# limits


@pytest.mark.parametrize(
    ("received", "now", "deadline"),
    [(0, 0, 10), (0, 25, 30), (0, 31, 30), (64 * 1024 * 100, 60, 70), (64 * 1024 * 100, 125, 130)],
)
def test_a_frame_must_keep_moving(received: int, now: float, deadline: float) -> None:
    limits = PeerLimits(stall_s=10, frame_grace_s=30, min_bytes_per_s=64 * 1024)
    assert limits.frame_deadline(0, received, now) == deadline


# resolve

KEYS = {
    "web-1": Status.RESPONDED,
    "db-2": Status.TIMEOUT,
    "q-3": Status.DISCONNECTED,
    "e.x-4": Status.ERROR,
}


@pytest.mark.parametrize(
    ("node_id", "reason", "proc_key"),
    [
        ("lock:db-2/7f", "process_timeout", "db-2"),
        ("lock:db-2.k3f9/7f", "process_timeout", "db-2"),
        ("lock:q-3:7f", "process_disconnected", "q-3"),
        ("lock:e.x-4/1", "process_error", "e.x-4"),
        ("lock:web-1/7f", "no_such_node", "web-1"),
        ("lock:other-9/7f", "no_such_node", None),
        ("socket:tcp:1.2.3.4:5>6.7.8.9:10", "no_such_node", None),
        ("nonsense", "no_such_node", None),
        ("", "no_such_node", None),
    ],
)
def test_why_an_end_is_missing(node_id: str, reason: str, proc_key: str | None) -> None:
    assert resolve.explain(node_id, KEYS) == (reason, proc_key)


# events


def problem(at_ns: int, kind: str = "decode_error", proc_key: str = "p-1") -> IngestProblem:
    return IngestProblem(at_ns, kind, "detail", proc_key=proc_key)


def test_the_first_of_a_sort_is_a_row_and_the_rest_are_counted() -> None:
    ledger = EventLedger(first_event_id=5)
    for t in range(1000):
        ledger.record(problem(t))
    new, recounts = ledger.drain(1000)
    assert [row.event_id for row in new] == [5]
    assert [(r.event_id, r.count, r.last_at_ns) for r in recounts] == [(5, 1000, 999)]
    assert not ledger.has_work
    ledger.record(problem(2000), 3)
    assert [(r.count) for r in ledger.drain(2000)[1]] == [1003]
    assert ledger.total == 1003


def test_another_window_is_another_row() -> None:
    ledger = EventLedger()
    ledger.record(problem(0))
    ledger.record(problem(WINDOW_NS))
    assert len(ledger.drain(WINDOW_NS)[0]) == 2


def test_a_window_that_ends_before_it_was_drained_keeps_its_count() -> None:
    ledger = EventLedger()
    for at_ns in (0, 1, 2, WINDOW_NS):
        ledger.record(problem(at_ns))
    new, recounts = ledger.drain(WINDOW_NS)
    assert len(new) == 2
    assert [(r.event_id, r.count) for r in recounts] == [(new[0].event_id, 3)]


def test_what_could_not_be_written_comes_again_with_newer_counts() -> None:
    ledger = EventLedger()
    ledger.record(problem(0), 2)
    assert ledger.put_back(*ledger.drain(0)) == 0
    assert ledger.has_work
    ledger.record(problem(1))
    ledger.record(problem(1, kind="slow_frame"))
    new, recounts = ledger.drain(1)
    assert [row.problem.event_kind for row in new] == ["decode_error", "slow_frame"]
    assert [r.count for r in recounts] == [3]
    assert not ledger.has_work


def test_what_waits_to_be_written_is_bounded() -> None:
    ledger, lost = EventLedger(), 0
    for window in range(MAX_WAITING_ROWS // MAX_OPEN_ROWS + 2):
        for n in range(MAX_OPEN_ROWS):
            ledger.record(problem(window * WINDOW_NS, proc_key=f"p-{n}"), 2)
        lost += ledger.put_back(*ledger.drain((window + 1) * WINDOW_NS))
    new, recounts = ledger.drain(0)
    assert len(new) == len(recounts) == MAX_WAITING_ROWS
    assert lost + len(new) == (MAX_WAITING_ROWS // MAX_OPEN_ROWS + 2) * MAX_OPEN_ROWS


def test_many_sorts_share_a_row_in_the_end() -> None:
    ledger = EventLedger()
    for n in range(MAX_OPEN_ROWS + 5000):
        ledger.record(problem(n, proc_key=f"p-{n}"))
    new, _ = ledger.drain(0)
    assert len(new) == MAX_OPEN_ROWS + 1
    assert new[-1].problem.proc_key is None


# retention


def test_what_expires() -> None:
    assert retention.expired_snapshots([1, 2, 5], 2) == [1]
    assert retention.expired_snapshots([1, 2], 2) == []
    assert retention.events_before_ns(10 * retention.NS_PER_DAY, 7) == 3 * retention.NS_PER_DAY


# happenings


def test_the_bus_tells_everybody_until_they_leave() -> None:
    bus, heard = Bus(), list[Happening]()
    leave = bus.subscribe(heard.append)
    bus.publish(problem(1))
    leave()
    bus.publish(problem(2))
    assert heard == [problem(1)]


# what is worth a line in the log


def test_a_flood_is_told_once_an_hour_with_its_count() -> None:
    ration = Ration()
    hour = 3600 * 10**9
    assert [ration.times("unauthorised", "10.0.0.1", at) for at in (0, 1, hour - 1)] == [1, 0, 0]
    assert ration.times("unauthorised", "10.0.0.2", 5) == 1, "somebody else"
    assert ration.times("decode_error", "10.0.0.1", 5) == 1, "something else"
    assert ration.times("unauthorised", "10.0.0.1", hour) == 3, "the two untold and this one"


def test_many_strangers_share_one_entry() -> None:
    ration = Ration()
    told = [ration.times("unauthorised", f"host-{n}", 0) for n in range(MAX_SORTS + 100)]
    assert sum(told) == MAX_SORTS + 1
    assert len(ration._told) == MAX_SORTS + 1
    assert ration.times("unauthorised", "after-an-hour", EVERY_NS) == 1
    assert len(ration._told) == 1
