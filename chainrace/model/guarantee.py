"""What a subject promises of an end state: one guarantee for each failure mode, no I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from chainrace.model import mode
from chainrace.model.rules import FAMILIES, RuleSet, in_chains, parse
from chainrace.model.trial import Ending


@dataclass(frozen=True)
class Promised:
    """What a subject's clean start adds to the rules, by family, and all that it leaves.

    What was there before is others', and its loss no harm of the subject's.
    """

    added: Mapping[str, RuleSet]
    left: Ending

    @property
    def home(self) -> str:
        """The first family that it adds rules to: what is of no family is reported there, once."""
        return next((name for name in FAMILIES if self.added[name].entries), FAMILIES[0])

    def missing(self, end: Ending, family: str) -> tuple[str, ...]:
        """The entries of one family that are gone in an end state, sorted."""
        return self.added[family].missing_from(parse(end.after[family]))


@dataclass(frozen=True)
class Guarantee:
    """That a failure mode, named `mode`, does not hold in one family of an end state.

    `broken` returns None where the guarantee is kept, else why it is not: a sentence, or nothing
    where the missing entries say all.
    """

    mode: str
    broken: Callable[[Promised, Ending, str], str | None]


def _started(promised: Promised, end: Ending, family: str) -> str | None:
    failed = family == promised.home and end.words.get(family) == "failed"
    return "" if failed else None


def _checked(promised: Promised, end: Ending, family: str) -> str | None:
    failed = family == promised.home and end.check
    return f"the check ended with {end.check}" if failed else None


def _there(promised: Promised, end: Ending, family: str) -> str | None:
    return "" if promised.missing(end, family) else None


def _in_order(promised: Promised, end: Ending, family: str) -> str | None:
    """Whatever a packet meets first may keep it from a rule that stands behind.

    A rule that the clean start does not leave is not looked at: whether it takes a packet
    away from the subject, only a packet says (the check).
    """
    then, now = in_chains(promised.left.after[family]), in_chains(end.after[family])
    own = promised.added[family].entries
    for chain, rules in then.items():
        places = _first_places(now.get(chain, ()))
        kept = [rule for rule in _first_places(rules) if rule in places]
        for at, mine in enumerate(kept):
            before = (one for one in kept[at + 1 :] if places[one] < places[mine])
            if mine in own and (other := next(before, None)):
                return f"{other} stands before {mine}"
    return None


def _first_places(rules: Sequence[str]) -> dict[str, int]:
    """Where each rule of a chain stands first: the same rule again changes nothing."""
    found: dict[str, int] = {}
    for at, rule in enumerate(rules):
        found.setdefault(rule, at)
    return found


GENERAL = (
    Guarantee(mode.INIT_FAILED, _started),
    Guarantee(mode.CHECK_FAILED, _checked),
    Guarantee(mode.RULES_LOST, _there),
    Guarantee(mode.RULES_REORDERED, _in_order),
)
