import pytest

from chainrace.judge import statistics


def test_fifty_nine_clean_trials_bound_the_rate_below_five_percent() -> None:
    assert statistics.upper_bound(0, 58) > 0.05 > statistics.upper_bound(0, 59)


def test_two_hundred_and_ninety_nine_bound_it_below_one_percent() -> None:
    assert statistics.upper_bound(0, 298) > 0.01 > statistics.upper_bound(0, 299)


def test_no_trials_say_nothing() -> None:
    assert statistics.upper_bound(0, 0) == 1.0
    nothing = statistics.rate(0, 0)
    assert (nothing.low, nothing.high) == (0.0, 1.0)


def test_bounds_hold_the_rate_between_them() -> None:
    found = statistics.rate(7, 10)
    assert found.low < found.value == 0.7 < found.high


def test_fisher_against_a_value_worked_by_hand() -> None:
    # All five of one arm, none of five of the other: 1 / C(10, 5).
    assert statistics.fisher(5, 5, 0, 5) == pytest.approx(1 / 252)
    assert statistics.fisher(0, 5, 5, 5) == pytest.approx(1.0)


def test_more_failures_than_trials_are_refused() -> None:
    with pytest.raises(ValueError, match="3 failures of 2 trials"):
        statistics.rate(3, 2)
