"""Who ends how, and when a snapshot is over: tables, no clock, no tasks."""

import pytest

from peepsd.core.gather import CHRONIC_WAIT_NS, Gather, Seat, Status, Verdict, skew_ms

MS = 1_000_000
T0 = 1000 * MS
DEADLINE = T0 + 5500 * MS


def make(*seats: Seat) -> Gather:
    gathering = Gather(1, T0, 5000 * MS, 500 * MS)
    gathering.admit(seats)
    return gathering


def seat(n: int, *, known: bool = True, chronic: bool = False) -> Seat:
    return Seat(
        n,
        f"web-{n}" if known else f"unknown-conn{n}",
        "web" if known else "unknown",
        n if known else None,
        is_identified=known,
        is_chronic=chronic,
    )


def replied(g: Gather, n: int, at: int, arrived: int | None = None) -> Verdict:
    return g.replied(n, "web", n, at, arrived_ns=at if arrived is None else arrived)


@pytest.mark.parametrize(
    ("act", "status", "text"),
    [
        (lambda g: replied(g, 1, T0 + 1), Status.RESPONDED, None),
        (lambda g: g.disconnected(1, "hung up", T0 + 1), Status.DISCONNECTED, "hung up"),
        (lambda g: g.failed(1, "queue full", T0 + 1), Status.ERROR, "queue full"),
        (lambda g: g.expire(DEADLINE), Status.TIMEOUT, None),
        (lambda g: (g.sent_garbage(1, "not JSON"), g.expire(DEADLINE)), Status.ERROR, "not JSON"),
        (lambda g: (g.sent_garbage(1, "x"), replied(g, 1, T0 + 1)), Status.RESPONDED, None),
    ],
)
def test_each_end_has_its_status(act, status: Status, text: str | None) -> None:  # type: ignore[no-untyped-def]
    g = make(seat(1))
    act(g)
    assert (g.seats[1].status, g.seats[1].error_text) == (status, text)
    assert g.is_over


@pytest.mark.parametrize(
    ("before", "verdict"),
    [
        (lambda g: None, Verdict.ACCEPTED),
        (lambda g: replied(g, 1, T0 + 1), Verdict.DUPLICATE),
        (lambda g: g.expire(DEADLINE), Verdict.LATE),
        (lambda g: g.failed(1, "x", T0), Verdict.LATE),
    ],
)
def test_what_a_reply_is_depends_on_what_came_before(before, verdict: Verdict) -> None:  # type: ignore[no-untyped-def]
    g = make(seat(1))
    before(g)
    assert replied(g, 1, T0 + 2) is verdict


def test_a_stranger_is_not_counted() -> None:
    g = make(seat(1))
    assert replied(g, 99, T0 + 1) is Verdict.STRANGER
    assert not g.is_over


def test_a_seat_ends_once() -> None:
    g = make(seat(1))
    assert replied(g, 1, T0 + 1) is Verdict.ACCEPTED
    assert not g.disconnected(1, "gone", T0 + 2)
    assert not g.failed(1, "broken", T0 + 2)
    assert g.expire(DEADLINE + 1) == []
    assert g.seats[1].status is Status.RESPONDED


def test_nobody_expires_before_the_deadline_and_all_do_at_it() -> None:
    g = make(seat(1), seat(2))
    assert g.wake_at_ns() == DEADLINE
    assert g.expire(DEADLINE - 1) == []
    assert [s.connection_id for s in g.expire(DEADLINE)] == [1, 2]


def test_a_reply_that_arrived_in_time_may_be_decoded_late() -> None:
    g = make(seat(1), seat(2))
    g.arriving(1, +1)
    assert [s.connection_id for s in g.expire(DEADLINE)] == [2]
    assert not g.is_over
    g.arriving(1, -1)
    assert replied(g, 1, DEADLINE + 700 * MS, arrived=DEADLINE - 1) is Verdict.ACCEPTED
    assert g.is_over


def test_what_was_being_decoded_and_is_no_reply_expires_then() -> None:
    g = make(seat(1))
    g.arriving(1, +1)
    assert g.expire(DEADLINE) == []
    g.arriving(1, -1)
    assert len(g.expire(DEADLINE + 1)) == 1


def test_a_reply_that_arrived_after_the_deadline_is_late() -> None:
    g = make(seat(1))
    assert replied(g, 1, DEADLINE + 1) is Verdict.LATE


def test_chronic_peers_hold_nobody_up() -> None:
    g = make(seat(1), seat(2, chronic=True))
    assert g.wake_at_ns() == DEADLINE
    end = T0 + 30 * MS
    replied(g, 1, end)
    assert g.wake_at_ns() == end + CHRONIC_WAIT_NS
    assert g.expire(end + CHRONIC_WAIT_NS - 1) == []
    assert [s.connection_id for s in g.expire(end + CHRONIC_WAIT_NS)] == [2]
    assert g.is_over


def test_a_chronic_peer_that_answers_in_time_counts() -> None:
    g = make(seat(1), seat(2, chronic=True))
    assert replied(g, 2, T0 + 1) is Verdict.ACCEPTED
    assert g.wake_at_ns() == DEADLINE


def test_only_chronic_peers_are_waited_for_shortly() -> None:
    g = make(seat(1, chronic=True))
    assert g.wake_at_ns() == T0 + CHRONIC_WAIT_NS


def test_nobody_asked_is_over_at_once() -> None:
    assert make().is_over


def test_an_unknown_peer_is_named_by_its_reply_and_twins_differ() -> None:
    g = make(seat(1), seat(2, known=False), seat(3, known=False))
    g.replied(2, "Web", 1, T0 + 1, arrived_ns=T0 + 1)
    g.replied(3, "we b", 9, T0 + 1, arrived_ns=T0 + 1)
    assert [s.proc_key for s in g.seats.values()] == ["web-1", "web-1~2", "we-b-9"]


def test_an_identity_once_frozen_stays() -> None:
    g = make(seat(1))
    g.replied(1, "evil", 666, T0 + 1, arrived_ns=T0 + 1)
    assert (g.seats[1].proc_key, g.seats[1].process, g.seats[1].pid) == ("web-1", "web", 1)


def test_a_reply_that_cannot_be_stored_ends_in_error() -> None:
    g = make(seat(1))
    replied(g, 1, T0 + 1)
    g.spoil(1, "disk full")
    assert (g.seats[1].status, g.seats[1].error_text) == (Status.ERROR, "disk full")


@pytest.mark.parametrize(
    ("captured", "skew"),
    [([], None), ([None], None), ([5], 0.0), ([3_000_000, None, 1_000_000], 2.0)],
)
def test_skew(captured: list[int | None], skew: float | None) -> None:
    assert skew_ms(captured) == skew
