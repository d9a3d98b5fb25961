"""One random script, explored in three ways that must agree."""

import hashlib
import random
from collections import Counter
from dataclasses import dataclass, field

from chainrace.model.trial import Ending
from tests.fuzz.explored import Explored, Result

# What says that its ends are not all that there are.
OPEN = ("not proved", "not exercised", "unfinished")


class DisagreementError(AssertionError):
    """An end that the proof says there is not."""


@dataclass
class Fuzzer:
    """Explores scripts, and counts what came of it.

    `budget` seconds for each: one that takes longer is counted as unfinished, and shows nothing.
    `runs` random schedules of each. `whole` seconds for the orders without any reduction.
    """

    node: Explored
    budget: float
    runs: int
    whole: float
    words: Counter[str] = field(default_factory=Counter)
    ends: int = 0

    def check(self, text: str, *, whole: bool) -> Result:
        """Raises DisagreementError where reduced exploration lacks an end that there is."""
        found = self.node.explore(text, budget=self.budget)
        doubted = found.verdict in OPEN or bool(found.doubts) or not found.complete
        self.words[f"{found.verdict}, with doubts" if found.doubts else found.verdict] += 1
        if doubted:
            return found
        chance = random.Random(hashlib.sha256(text.encode()).digest())
        for _ in range(self.runs):
            schedule, end = self.node.at_random(text, chance)
            self._compare(text, found, end, f"the schedule {schedule}")
        if whole and self.whole:
            self._explore_whole(text, found)
        return found

    def _explore_whole(self, text: str, found: Result) -> None:
        every = self.node.explore(text, reduced=False, budget=self.whole)
        self.words["whole" if every.complete else "whole, in part"] += 1
        for _, end in every.endings():
            self._compare(text, found, end, "the exploration with nothing left out")
        if not every.complete or every.doubts:
            return
        for families, end in found.endings():
            if lacking := every.lacks(end, families):
                raise DisagreementError(
                    f"{text}\nthe reduced exploration ends in what nothing leads to when nothing "
                    f"is left out:\n{lacking}"
                )

    def _compare(self, text: str, found: Result, end: Ending, by: str) -> None:
        self.ends += 1
        if lacking := found.lacks(end):
            known = "\n".join(found.told())
            raise DisagreementError(
                f"{text}\n{by} ends in what the reduced exploration, which said "
                f"{found.verdict!r}, does not know:\n{lacking}\nIt knows:\n{known}"
            )
