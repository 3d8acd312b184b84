from hypothesis import given
from hypothesis import strategies as st

from peepsd.feed.backlog import Backlog
from peepsd.feed.modes import PUSHABLE, Source
from peepsd.feed.outgoing import Outgoing

STATE, EVENTS, TRACE = Source.STATE, Source.EVENTS, Source.TRACE


def message(sequence: int, source: Source, size: int = 10, at: float = 0.0) -> Outgoing:
    return Outgoing(b"x" * size, source, sequence, at)


def test_order_across_sources_is_that_of_publication() -> None:
    backlog = Backlog(1000)
    for n, source in enumerate([EVENTS, STATE, EVENTS, TRACE]):
        backlog.append(source, message(n, source))
    popped = [backlog.pop(PUSHABLE) for _ in range(5)]
    assert [m.sequence if m else None for m in popped] == [0, 1, 2, 3, None]


def test_a_source_can_be_left_waiting() -> None:
    backlog = Backlog(1000)
    backlog.append(STATE, message(1, STATE))
    backlog.append(EVENTS, message(2, EVENTS))
    assert backlog.pop([EVENTS]) is not None
    assert not backlog.holds([EVENTS])
    assert backlog.holds([STATE])


def test_too_many_bytes_cost_the_oldest_and_are_counted() -> None:
    backlog = Backlog(25)
    for n, source in enumerate([STATE, EVENTS, EVENTS]):
        backlog.append(source, message(n, source))
    assert [m.sequence for m in iter(lambda: backlog.pop(PUSHABLE), None)] == [1, 2]
    assert backlog.take_discarded() == {STATE: 1}
    assert not backlog.has_discarded
    assert backlog.discarded_total == 1


def test_one_message_larger_than_the_limit_is_kept() -> None:
    backlog = Backlog(5)
    backlog.append(STATE, message(1, STATE))
    assert backlog.pop(PUSHABLE) is not None
    assert not backlog.has_discarded


def test_what_is_too_old_is_discarded_and_counted() -> None:
    backlog = Backlog(1000)
    backlog.append(EVENTS, message(1, EVENTS, at=1.0))
    backlog.append(EVENTS, message(2, EVENTS, at=2.0))
    backlog.expire(2.0)
    assert len(backlog) == 1
    assert backlog.take_discarded() == {EVENTS: 1}


def test_what_its_observer_does_not_want_any_more_is_no_loss() -> None:
    backlog = Backlog(1000)
    backlog.append(EVENTS, message(1, EVENTS))
    backlog.clear(EVENTS)
    assert (len(backlog), backlog.bytes, backlog.has_discarded) == (0, 0, False)


@given(st.lists(st.tuples(st.sampled_from(PUSHABLE), st.integers(1, 50))), st.integers(1, 100))
def test_every_message_is_sent_or_counted(pushed: list[tuple[Source, int]], limit: int) -> None:
    backlog = Backlog(limit)
    for n, (source, size) in enumerate(pushed):
        backlog.append(source, message(n, source, size))
        assert backlog.bytes <= limit or len(backlog) == 1
    sent = list(iter(lambda: backlog.pop(PUSHABLE), None))
    assert len(sent) + backlog.discarded_total == len(pushed)
    assert backlog.bytes == 0
    assert [m.sequence for m in sent] == sorted(m.sequence for m in sent)
