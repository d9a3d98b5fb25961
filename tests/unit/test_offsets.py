import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrace.randomized.offsets import OffsetSearch, sample
from chainrace.randomized.window import Sighting


def search_node(lag: float, begin: float, length: float) -> OffsetSearch:
    """Search a node on which the flush falls `lag` after the shot, and the guard stands
    from `begin` for `length`: the original fails when the one falls into the other."""
    search = OffsetSearch(span=begin + length, guard=length)
    while (offset := search.next_offset()) is not None:
        flush = offset + lag
        failed = begin <= flush <= begin + length
        search.learn(Sighting(offset, flush, begin, None if failed else begin + length, failed))
    return search


@given(lag=st.floats(0.05, 3), begin=st.floats(0.1, 3), length=st.floats(0.05, 2))
def test_every_sampled_moment_hits_wherever_the_guard_can_be_hit(
    lag: float, begin: float, length: float
) -> None:
    search = search_node(lag, begin, length)
    for end in search.window:
        if begin + 0.6 * length >= lag:  # else the shot would have to come before the anchor
            assert begin <= end + lag <= begin + length
        assert end >= 0


def test_the_aim_follows_a_host_that_slows_down() -> None:
    search = search_node(lag=1.0, begin=1.5, length=1.0)
    before = search.window
    for _ in range(8):
        search.learn(Sighting(0.5, 0.5 + 2.0, 3.0, 5.0, failed=False))
    low, high = search.window
    assert low > before[1]
    assert 3.0 <= low + 2.0 <= high + 2.0 <= 5.0


def test_one_odd_trial_does_not_spoil_the_aim() -> None:
    search = search_node(lag=1.0, begin=1.5, length=1.0)
    before = search.window
    search.learn(Sighting(0.5, 30.0, 29.0, 31.0, failed=False))
    assert search.window == pytest.approx(before, abs=0.5 * 1.0)  # half a guard


def test_a_script_whose_flush_is_never_seen_is_swept_for() -> None:
    search = OffsetSearch(span=2.0, guard=1.0)
    asked = []
    while (offset := search.next_offset()) is not None:
        asked.append(offset)
        search.learn(Sighting(offset, None, None, None, failed=0.9 < offset < 1.4))
    assert len(asked) == len(set(asked)) == 7
    assert search.window == (1.0, 1.3)


def test_where_nothing_is_learned_the_whole_span_is_sampled() -> None:
    assert OffsetSearch(span=2.0, guard=1.0).window == (0.0, 2.0)


@pytest.mark.parametrize(("span", "guard"), [(0.0, 0.0), (1.0, 0.0), (1.0, 2.0)])
def test_a_reference_without_a_guard_is_refused(span: float, guard: float) -> None:
    with pytest.raises(ValueError, match="guard lasts"):
        OffsetSearch(span, guard)


def test_samples_lie_inside_and_a_seed_repeats_them() -> None:
    window = (0.2, 0.7)
    draws = [sample(window, random.Random(7)) for _ in range(2)]
    assert draws[0] == draws[1]
    assert window[0] <= draws[0] <= window[1]
