import pytest

from agent.models.crashes import POISONOUS_AFTER, POISONOUS_FOR_S, Crashes


def test_the_first_restart_is_at_once_and_later_ones_wait_longer_and_longer() -> None:
    crashes = Crashes(first_wait_s=1.0)
    waits = []
    for _ in range(8):
        crashes.died("request", now=100.0)
        waits.append(crashes.wait_s(now=100.0))
    assert waits == [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert crashes.wait_s(now=110.0) == 20.0
    assert crashes.wait_s(now=200.0) == 0.0


def test_a_request_that_kills_three_times_in_a_row_is_refused_for_ten_minutes() -> None:
    crashes = Crashes()
    for deaths in range(POISONOUS_AFTER):
        assert crashes.refused_for_s("bad", now=float(deaths)) == 0
        crashes.died("bad", now=float(deaths))
    assert crashes.refused_for_s("bad", now=2.0) == POISONOUS_FOR_S
    assert crashes.refused_for_s("other", now=2.0) == 0
    assert crashes.refused_for_s("bad", now=2.0 + POISONOUS_FOR_S) == 0


def test_it_is_tried_again_when_another_request_succeeded() -> None:
    crashes = Crashes()
    for _ in range(POISONOUS_AFTER):
        crashes.died("bad", now=1.0)
    crashes.succeeded()
    assert crashes.refused_for_s("bad", now=1.0) == 0
    assert crashes.wait_s(now=1.0) == 0


@pytest.mark.parametrize("between", ["other", "bad"])
def test_deaths_over_different_requests_or_long_ago_poison_none(between: str) -> None:
    crashes = Crashes()
    crashes.died("bad", now=0.0)
    crashes.died("bad", now=1.0)
    crashes.died(between, now=2.0 + POISONOUS_FOR_S)
    assert crashes.refused_for_s("bad", now=2.0 + POISONOUS_FOR_S) == 0
