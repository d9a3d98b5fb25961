from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from chainrace.judge.verdict import (
    CONFIRMED,
    EXIT_CODES,
    FIXED,
    INCONCLUSIVE,
    NOT_REPRODUCED,
    ORIGINAL,
    REFUTED,
    Judged,
    decide,
)
from chainrace.model.mode import ENVIRONMENT, HEALTHY, INIT_FAILED, RULES_LOST


def failed(script: str = ORIGINAL, *, signature: bool = True, sampled: bool = True) -> Judged:
    return Judged(script, INIT_FAILED, signature, hit=True, sampled=sampled)


def clean(script: str = FIXED, *, hit: bool = False) -> Judged:
    return Judged(script, HEALTHY, signature=False, hit=hit, sampled=True)


def test_a_broken_original_and_a_clean_fix_are_confirmed() -> None:
    verdict = decide([failed()] * 8 + [clean()] * 8)
    assert verdict.verdict == CONFIRMED
    assert verdict.p < 0.01


def test_too_few_trials_are_inconclusive() -> None:
    assert decide([failed()] * 3 + [clean()] * 3).verdict == INCONCLUSIVE


def test_no_trials_are_inconclusive() -> None:
    assert decide([]).verdict == INCONCLUSIVE
    assert decide([failed()] * 9).verdict == INCONCLUSIVE


def test_one_failure_of_the_fix_refutes_whatever_the_rest() -> None:
    for outcome in (INIT_FAILED, RULES_LOST):
        bad = Judged(FIXED, outcome, signature=False, hit=False, sampled=True)
        assert decide([failed()] * 50 + [clean()] * 49 + [bad]).verdict == REFUTED


def test_an_original_that_held_where_the_window_was_hit_did_not_reproduce_the_bug() -> None:
    held = [clean(ORIGINAL, hit=True)] * 5
    assert decide(held + [clean()] * 5).verdict == NOT_REPRODUCED
    assert EXIT_CODES[NOT_REPRODUCED] == 3


def test_a_broken_start_in_the_search_forbids_saying_that_the_original_held() -> None:
    held = [clean(ORIGINAL, hit=True)] * 9
    assert decide([failed(sampled=False), *held] + [clean()] * 9).verdict == INCONCLUSIVE


def test_an_original_that_held_outside_the_window_is_inconclusive() -> None:
    assert decide([clean(ORIGINAL)] * 50 + [clean()] * 50).verdict == INCONCLUSIVE


def test_failures_without_the_outages_message_do_not_confirm() -> None:
    strangers = [failed(signature=False)] * 20
    assert decide(strangers + [clean()] * 20).verdict == INCONCLUSIVE


def test_one_signed_failure_and_many_lost_rules_are_confirmed() -> None:
    lost = Judged(ORIGINAL, RULES_LOST, signature=False, hit=True, sampled=True)
    signed = failed(sampled=False)
    verdict = decide([signed] + [lost] * 8 + [clean()] * 8)
    assert verdict.verdict == CONFIRMED
    assert verdict.original.failures == verdict.original.trials == 8


def test_rules_lost_alone_do_not_confirm_a_broken_initialisation() -> None:
    lost = Judged(ORIGINAL, RULES_LOST, signature=False, hit=True, sampled=True)
    assert decide([lost] * 20 + [clean()] * 20).verdict == INCONCLUSIVE


def test_the_searchs_own_trials_are_in_no_rate() -> None:
    verdict = decide([failed(sampled=False)] * 20 + [clean()] * 20)
    assert verdict.original.trials == 0
    assert verdict.verdict == INCONCLUSIVE


def test_a_fix_in_whose_middle_a_trial_broke_is_not_confirmed() -> None:
    """kubelet may have ended, or not come to its initialisation, by its doing."""
    broken = Judged(FIXED, ENVIRONMENT, signature=False, hit=False, sampled=True)
    every = [failed()] * 8 + [clean()] * 8
    assert decide([*every, broken]).verdict == INCONCLUSIVE
    assert decide([*every, replace(broken, begun=False)]).verdict == CONFIRMED
    assert decide([*every, replace(broken, script=ORIGINAL)]).verdict == CONFIRMED


def test_broken_trials_count_nowhere() -> None:
    broken = [
        Judged(s, ENVIRONMENT, signature=False, hit=False, sampled=True) for s in (ORIGINAL, FIXED)
    ] * 30
    verdict = decide(broken + [failed()] * 8 + [clean()] * 8)
    assert verdict.environment == 60
    assert verdict.fixed.trials == 8
    assert decide(broken).verdict == INCONCLUSIVE


trials = st.builds(
    Judged,
    script=st.sampled_from([ORIGINAL, FIXED]),
    outcome=st.sampled_from([HEALTHY, INIT_FAILED, RULES_LOST, ENVIRONMENT]),
    signature=st.booleans(),
    hit=st.booleans(),
    sampled=st.booleans(),
)


@given(st.lists(trials, max_size=60))
def test_confirmed_always_means_a_clean_fix_and_a_signed_failure(every: list[Judged]) -> None:
    verdict = decide(every)
    if verdict.verdict == CONFIRMED:
        assert all(one.outcome in (HEALTHY, ENVIRONMENT) for one in every if one.script == FIXED)
        assert verdict.fixed.trials > 0
        assert any(one.signature and one.script == ORIGINAL for one in every)
        assert verdict.p < 0.01


@given(st.lists(trials, max_size=60), st.randoms())
def test_the_order_of_trials_does_not_matter(every: list[Judged], source: object) -> None:
    shuffled = list(every)
    source.shuffle(shuffled)  # type: ignore[attr-defined]
    assert decide(shuffled).verdict == decide(every).verdict
