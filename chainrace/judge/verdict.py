"""From judged trials to one verdict: confirmed, refuted, not reproduced or inconclusive."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from chainrace.judge import statistics
from chainrace.judge.statistics import Rate
from chainrace.model.mode import ENVIRONMENT, HEALTHY

CONFIRMED = "confirmed"
REFUTED = "refuted"
# The bug is not there: that says nothing against the fix, and nothing for it.
NOT_REPRODUCED = "not reproduced"
INCONCLUSIVE = "inconclusive"
EXIT_CODES = {CONFIRMED: 0, REFUTED: 1, NOT_REPRODUCED: 3, INCONCLUSIVE: 3}

ORIGINAL: Literal["original"] = "original"
FIXED: Literal["fixed"] = "fixed"
THE_FIX = "the fixed script"
SIGNIFICANCE = 0.01

# So many trials inside the window without one failure bound the original's rate
# below a half (95 %), while the window was measured to break it more often.
HELD_HITS = 5


@dataclass(frozen=True)
class Judged:
    """One trial of an arm, reduced to what the verdict needs."""

    script: str  # original or fixed
    outcome: str
    signature: bool
    hit: bool  # its interleaving was one in which the outage can happen
    sampled: bool  # drawn from the window; the search's own trials are biased
    azure_npm: bool | None = None  # whether it started afterwards, where that was tried
    begun: bool = True  # whether the script had begun when a broken trial broke


@dataclass(frozen=True)
class Arm:
    """One script's sampled trials."""

    outcomes: dict[str, int]
    rate: Rate  # of failures: anything but health
    clean_bound: float  # one-sided 95 % upper bound on any failure
    hits: int
    azure_npm_tried: int
    azure_npm_failed: int  # it did not start on what the trial left: the outage itself

    @property
    def trials(self) -> int:
        return self.rate.trials

    @property
    def failures(self) -> int:
        """Trials that ended in anything but health."""
        return self.rate.failures


@dataclass(frozen=True)
class Verdict:
    """The verdict, the sentence behind it, and both arms."""

    verdict: str
    reason: str
    original: Arm
    fixed: Arm
    p: float
    environment: int  # trials lost to a broken environment; they count nowhere


def _arm(trials: Iterable[Judged]) -> Arm:
    mine = list(trials)
    outcomes = dict(sorted(Counter(one.outcome for one in mine).items()))
    failed = len(mine) - outcomes.get(HEALTHY, 0)
    return Arm(
        outcomes=outcomes,
        rate=statistics.rate(failed, len(mine)),
        clean_bound=statistics.upper_bound(failed, len(mine)),
        hits=sum(one.hit for one in mine),
        azure_npm_tried=sum(one.azure_npm is not None for one in mine),
        azure_npm_failed=sum(one.azure_npm is False for one in mine),
    )


def decide(trials: Iterable[Judged], script: str = THE_FIX) -> Verdict:
    """Judge all trials of a run. Search trials and broken ones are in no rate.

    `script` is what the one in the fix's place is called.

    What one trial is enough for counts from the search too: a failure of the fixed
    script, and the original's failure with the outage's own message.
    """
    every = list(trials)
    valid = [one for one in every if one.outcome != ENVIRONMENT]
    sampled = [one for one in valid if one.sampled]
    original = _arm(one for one in sampled if one.script == ORIGINAL)
    fixed = _arm(one for one in sampled if one.script == FIXED)
    p = statistics.fisher(original.failures, original.trials, fixed.failures, fixed.trials)
    # What broke once the fixed script had begun may be its doing: a kubelet that ended, say.
    suspect = [
        one for one in every if one.script == FIXED and one.outcome == ENVIRONMENT and one.begun
    ]
    fixed_failed = [one for one in valid if one.script == FIXED and one.outcome != HEALTHY]
    signed = [one for one in valid if one.script == ORIGINAL and one.signature]

    if fixed_failed:
        verdict = REFUTED
        reason = f"{script} failed too: {fixed_failed[0].outcome}"
    elif not original.trials or not fixed.trials:
        verdict, reason = INCONCLUSIVE, "no trials of both scripts were completed"
    elif not signed and original.failures == 0 and original.hits >= HELD_HITS:
        verdict = NOT_REPRODUCED
        reason = f"the original held in {original.hits} trials that hit the window"
    elif not signed:
        verdict = INCONCLUSIVE
        reason = "the original never broke kubelet's start with the outage's own message"
    elif p >= SIGNIFICANCE:
        verdict = INCONCLUSIVE
        reason = f"too few trials to tell the scripts apart (p = {p:.2g})"
    elif suspect:
        verdict = INCONCLUSIVE
        reason = f"{len(suspect)} trials broke after {script} had begun: it may be its doing"
    else:
        verdict = CONFIRMED
        reason = (
            f"the original harmed kubelet in {original.failures} of {original.trials} trials "
            f"and broke its start with the outage's own message, "
            f"{script} did in none of {fixed.trials} (p = {p:.2g})"
        )
    return Verdict(verdict, reason, original, fixed, p, len(every) - len(valid))
