from hypothesis import given
from hypothesis import strategies as st

from peeps.reconnect import FIRST_S, LONGEST_S, STEADY_S, Backoff


def test_delays_double_up_to_the_longest_and_go_on_for_ever():
    backoff = Backoff()
    delays = [backoff.delay(1.0) for _ in range(50)]
    assert delays[:3] == [FIRST_S, FIRST_S * 2, FIRST_S * 4]
    assert set(delays[6:]) == {LONGEST_S}


@given(st.floats(0, 1), st.integers(0, 20))
def test_chance_moves_a_delay_between_half_of_it_and_all_of_it(chance, tries):
    plain, jittered = Backoff(), Backoff()
    for _ in range(tries):
        plain.delay(1.0)
        jittered.delay(chance)
    whole = plain.delay(1.0)
    assert whole / 2 <= jittered.delay(chance) <= whole


def test_only_a_connection_that_lasted_starts_small_again():
    backoff = Backoff()
    for _ in range(5):
        backoff.delay(1.0)
    backoff.connected_for(STEADY_S / 2)
    assert backoff.delay(1.0) > FIRST_S
    backoff.connected_for(STEADY_S)
    assert backoff.delay(1.0) == FIRST_S
