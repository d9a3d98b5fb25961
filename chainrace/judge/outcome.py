"""What became of a subject's rules in one end state, against what its clean start leaves."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from chainrace.model import mode, rules
from chainrace.model.guarantee import Promised
from chainrace.model.mode import HEALTHY
from chainrace.model.rules import FAMILIES, RuleSet
from chainrace.model.subject import Subject
from chainrace.model.trial import Call, Ending
from chainrace.subjects.known import KNOWN

# Of a consumer, where the subject has none.
NOT_ASKED = ""
# All failure modes, by their names; where several subjects have one, as every subject has it.
_EVERY = (*(one for subject in KNOWN for one in subject.modes), *mode.GENERAL)
MODES = {one.name: one for one in sorted(_EVERY, key=lambda one: one.gravity)}
# Several can hold at once; one name alone is that of the first of these.
WORST_FIRST = tuple(MODES)


@dataclass(frozen=True)
class FamilyOutcome:
    """One family: its failure modes or `healthy`, the cause of a failure, what is missing.

    `noticed`: something is missing by whose loss the subject notices it.
    """

    modes: tuple[str, ...]
    cause: str = ""
    missing: tuple[str, ...] = ()
    noticed: bool = False

    def __post_init__(self) -> None:
        """Raises ValueError for what is no failure mode: a stored one may be anything."""
        if unknown := set(self.modes) - MODES.keys():
            raise ValueError(f"{', '.join(sorted(unknown))}: no failure mode of an end")

    @property
    def outcome(self) -> str:
        return worst(self.modes)


@dataclass(frozen=True)
class Outcome:
    """Both families; the trial's one name is the worst of their failure modes."""

    families: Mapping[str, FamilyOutcome]
    signature: bool  # the subject failed, with the outage's own message
    detected_by: str | None  # the entry that its consumer would find, None for the outage

    @property
    def name(self) -> str:
        return worst(name for family in self.families.values() for name in family.modes)


def worst(modes: Iterable[str]) -> str:
    """The gravest of some failure modes."""
    return min(modes, key=WORST_FIRST.index)


def promised_by(
    subject: Subject, before: Mapping[str, str], left: Ending, calls: Iterable[Call]
) -> Promised:
    """What a subject's clean start adds to the rules: what it promises is there.

    `before` are the rules that it began with, as iptables-save texts by family; `calls` are all
    that were seen. Raises ValueError when that start was not clean, or not seen whole: then
    nothing can be compared.
    """
    made = {family: _added(before, left, family) for family in FAMILIES}
    found = Promised(made, left)
    why = subject.unclean(found, before, tuple(calls)) if subject.unclean else ""
    if why := why or _unclean(subject, found):
        raise ValueError(why)
    return found


def _added(before: Mapping[str, str], left: Ending, family: str) -> RuleSet:
    added = rules.parse(left.after[family]).missing_from(rules.parse(before[family]))
    return RuleSet(frozenset(added))


def _unclean(subject: Subject, made: Promised) -> str:
    if "failed" in made.left.words.values():
        return f"{subject.name} failed even on a clean start"
    if code := made.left.check:
        return f"the check of {subject.name} ends with {code} even after a clean start"
    if not any(one.entries for one in made.added.values()):
        return f"{subject.name} added no rules at all in its clean start"
    return ""


def judge(subject: Subject, promised: Promised, end: Ending) -> Outcome:
    """Hold an end state against each guarantee of a subject, family by family."""
    families = {family: _judged(subject, promised, end, family) for family in FAMILIES}
    signature, consumer = subject.signature, subject.consumer
    found: str | None = NOT_ASKED
    if consumer is not None:
        left = rules.parse(end.after["ipv4"]).entries
        found = next((name for name in consumer.entries if name in left), None)
    return Outcome(
        families,
        signature=signature is not None
        and any(signature.search(one.cause) for one in families.values()),
        detected_by=found,
    )


def _judged(subject: Subject, promised: Promised, end: Ending, family: str) -> FamilyOutcome:
    said = {one.mode: one.broken(promised, end, family) for one in subject.guarantees}
    broken = {name: why for name, why in said.items() if why is not None}
    missing = promised.missing(end, family)
    return FamilyOutcome(
        modes=tuple(name for name in WORST_FIRST if name in broken) or (HEALTHY,),
        cause=next((why for why in broken.values() if why), ""),
        missing=missing,
        noticed=not subject.notices.isdisjoint(missing),
    )
