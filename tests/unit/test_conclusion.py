"""One verdict from several kinds of evidence."""

from dataclasses import replace
from itertools import product

import pytest

from chainrace.judge.conclusion import EXPLORATION, REBOOT, TRIALS, Said, conclude
from chainrace.judge.explored import HARMFUL, HARMLESS, NOT_EXERCISED, NOT_PROVED, UNFINISHED
from chainrace.judge.verdict import (
    CONFIRMED,
    INCONCLUSIVE,
    NOT_REPRODUCED,
    REFUTED,
    Verdict,
    decide,
)

GOOD, BAD, OPEN = Said(HARMLESS, "proved"), Said(HARMFUL, "one does"), Said(UNFINISHED, "not yet")
DOUBTED, IDLE = Said(NOT_PROVED, "who was that?"), Said(NOT_EXERCISED, "it does nothing")


def by_trials(verdict: str) -> Verdict:
    return replace(decide([]), verdict=verdict, reason="in trials so")


@pytest.mark.parametrize(
    ("trials", "exploration", "together"),
    [
        (CONFIRMED, GOOD, CONFIRMED),
        (CONFIRMED, OPEN, INCONCLUSIVE),
        (CONFIRMED, None, INCONCLUSIVE),
        (CONFIRMED, BAD, REFUTED),
        (CONFIRMED, DOUBTED, NOT_PROVED),
        (CONFIRMED, IDLE, NOT_EXERCISED),
        (NOT_REPRODUCED, GOOD, NOT_REPRODUCED),
        (NOT_REPRODUCED, BAD, REFUTED),
        (INCONCLUSIVE, GOOD, INCONCLUSIVE),
        (INCONCLUSIVE, BAD, REFUTED),
        (REFUTED, GOOD, REFUTED),
    ],
)
def test_a_fix_is_confirmed_only_by_chance_and_force_together(
    trials: str, exploration: Said | None, together: str
) -> None:
    assert conclude([EXPLORATION, TRIALS], by_trials(trials), exploration, None).verdict == together


@pytest.mark.parametrize(
    ("exploration", "verdict"),
    [
        (GOOD, HARMLESS),
        (BAD, HARMFUL),
        (OPEN, UNFINISHED),
        (None, UNFINISHED),
        (DOUBTED, NOT_PROVED),
        (IDLE, NOT_EXERCISED),
    ],
)
def test_without_trials_the_word_is_on_the_one_script_alone(
    exploration: Said | None, verdict: str
) -> None:
    assert conclude([EXPLORATION], by_trials(INCONCLUSIVE), exploration, None).verdict == verdict


def test_saved_rules_that_a_boot_does_not_bring_back_refute() -> None:
    said = conclude(
        [EXPLORATION, TRIALS, REBOOT], by_trials(CONFIRMED), GOOD, Said(HARMFUL, "2 lines")
    )
    assert said.verdict == REFUTED
    assert said.reason == "the fixed script, over a reboot: 2 lines"


def test_what_was_not_asked_for_is_not_waited_for() -> None:
    assert conclude([TRIALS], by_trials(CONFIRMED), None, None).verdict == CONFIRMED


def test_confirmed_needs_all_that_was_asked_for() -> None:
    everything = (GOOD, BAD, OPEN, DOUBTED, IDLE, None)
    for trials, exploration, reboot in product((CONFIRMED, INCONCLUSIVE), everything, everything):
        said = conclude([EXPLORATION, TRIALS, REBOOT], by_trials(trials), exploration, reboot)
        sound = trials == CONFIRMED and exploration == reboot == GOOD
        assert (said.verdict == CONFIRMED) == sound
