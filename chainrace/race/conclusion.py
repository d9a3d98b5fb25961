"""One word from all kinds of evidence that a run was to bring: chance, force, a reboot."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal

from chainrace.race.force import HARMFUL, HARMLESS, NOT_EXERCISED, NOT_PROVED, UNFINISHED, Word
from chainrace.race.verdict import CONFIRMED, INCONCLUSIVE, REFUTED, THE_FIX, Verdict

Evidence = Literal["force", "chance", "reboot"]
FORCE: Evidence = "force"
CHANCE: Evidence = "chance"
REBOOT: Evidence = "reboot"
HOW = {FORCE: "by force", REBOOT: "over a reboot"}


@dataclass(frozen=True)
class Said:
    """What one kind of evidence says of the fixed script, and the sentence behind it."""

    word: Word
    reason: str


def conclude(
    wanted: Collection[Evidence],
    chance: Verdict,
    force: Said | None,
    reboot: Said | None,
    script: str = THE_FIX,
) -> Verdict:
    """The verdict on a run, from what was wanted of it and what came.

    Chance proves a bug, force a fix: with chance among the wanted the word is confirmed,
    refuted, not reproduced or inconclusive, and confirmed needs all that was wanted. Without it
    the word is on the one script alone: harmless, harmful or unfinished. Either way it is not
    proved or not exercised where that is all that keeps the script from being called harmless.
    What was wanted and did not come is unfinished, and so is a run of which nothing was wanted.
    `script` is what the one in the fix's place is called.
    """
    parts = {
        how: said or Said(UNFINISHED, "it was not come to")
        for how, said in ((FORCE, force), (REBOOT, reboot))
        if how in wanted
    }
    by_chance = CHANCE in wanted
    if not by_chance and not parts:
        return replace(chance, word=UNFINISHED, reason="no evidence was asked for")
    if bad := _first(parts, HARMFUL, script):
        return replace(chance, word=REFUTED if by_chance else HARMFUL, reason=bad)
    if by_chance and chance.word != CONFIRMED:
        return chance
    before = f"{chance.reason}; " if by_chance else ""
    for word in (NOT_EXERCISED, NOT_PROVED, UNFINISHED):
        if left := _first(parts, word, script):
            # More time mends what is unfinished; the others keep their word beside chance, too.
            kept = INCONCLUSIVE if by_chance and word == UNFINISHED else word
            return replace(chance, word=kept, reason=f"{before}{left}")
    after = "; ".join(f"{HOW[how]}: {said.reason}" for how, said in parts.items())
    if by_chance and not parts:
        return chance
    return replace(chance, word=CONFIRMED if by_chance else HARMLESS, reason=f"{before}{after}")


def _first(parts: dict[Evidence, Said], word: str, script: str) -> str:
    """The sentence of the first part with this word; empty where there is none."""
    found = (
        f"{script}, {HOW[how]}: {said.reason}" for how, said in parts.items() if said.word == word
    )
    return next(found, "")
