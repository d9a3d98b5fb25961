"""One verdict from all evidence that a run was to bring: trials, an exploration, a reboot."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal

from chainrace.judge.explored import (
    HARMFUL,
    HARMLESS,
    NOT_EXERCISED,
    NOT_PROVED,
    UNFINISHED,
    ScriptVerdict,
)
from chainrace.judge.verdict import CONFIRMED, INCONCLUSIVE, REFUTED, THE_FIX, Verdict

Evidence = Literal["exploration", "trials", "reboot", "cluster"]
EXPLORATION: Evidence = "exploration"
TRIALS: Evidence = "trials"
REBOOT: Evidence = "reboot"
# Judged by itself (judge/cluster.py): its node is another one.
CLUSTER: Evidence = "cluster"
HOW = {EXPLORATION: "explored exhaustively", REBOOT: "over a reboot"}


@dataclass(frozen=True)
class Said:
    """What one kind of evidence says of the fixed script, and the sentence behind it."""

    verdict: ScriptVerdict
    reason: str


def conclude(
    wanted: Collection[Evidence],
    trials: Verdict,
    exploration: Said | None,
    reboot: Said | None,
    script: str = THE_FIX,
) -> Verdict:
    """The verdict on a run, from what was wanted of it and what came.

    Trials prove a bug, an exploration a fix: with trials among the wanted the verdict is confirmed,
    refuted, not reproduced or inconclusive, and confirmed needs all that was wanted. Without it
    the verdict is on the one script alone: harmless, harmful or unfinished. Either way it is not
    proved or not exercised where that is all that keeps the script from being called harmless.
    What was wanted and did not come is unfinished, and so is a run of which nothing was wanted.
    `script` is what the one in the fix's place is called.
    """
    parts = {
        how: said or Said(UNFINISHED, "it was not come to")
        for how, said in ((EXPLORATION, exploration), (REBOOT, reboot))
        if how in wanted
    }
    by_trials = TRIALS in wanted
    if not by_trials and not parts:
        return replace(trials, verdict=UNFINISHED, reason="no evidence was asked for")
    if bad := _first(parts, HARMFUL, script):
        return replace(trials, verdict=REFUTED if by_trials else HARMFUL, reason=bad)
    if by_trials and trials.verdict != CONFIRMED:
        return trials
    before = f"{trials.reason}; " if by_trials else ""
    for verdict in (NOT_EXERCISED, NOT_PROVED, UNFINISHED):
        if left := _first(parts, verdict, script):
            # More time mends what is unfinished; the others keep their verdict beside trials, too.
            kept = INCONCLUSIVE if by_trials and verdict == UNFINISHED else verdict
            return replace(trials, verdict=kept, reason=f"{before}{left}")
    after = "; ".join(f"{HOW[how]}: {said.reason}" for how, said in parts.items())
    if by_trials and not parts:
        return trials
    return replace(trials, verdict=CONFIRMED if by_trials else HARMLESS, reason=f"{before}{after}")


def _first(parts: dict[Evidence, Said], verdict: str, script: str) -> str:
    """The sentence of the first part with this verdict; empty where there is none."""
    found = (
        f"{script}, {HOW[how]}: {said.reason}"
        for how, said in parts.items()
        if said.verdict == verdict
    )
    return next(found, "")
