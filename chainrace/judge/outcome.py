"""What became of kubelet's rules in one trial, against the reference."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from chainrace.judge.coverage import unmade
from chainrace.model import rules
from chainrace.model.rules import FAMILIES, RuleSet
from chainrace.model.trial import Call, Ending
from chainrace.subjects.kubelet.words import CANARY, FAILED, FAMILY_OF_PROTOCOL

Name = Literal[
    "healthy",
    "init_failed",
    "family_dropped",
    "guard_open",
    "check_failed",
    "rules_lost",
    "hint_lost",
    "canary_lost",
    "environment",
]
HEALTHY: Literal["healthy"] = "healthy"
INIT_FAILED: Literal["init_failed"] = "init_failed"
# NewBestEffort drops a family whose first look fails, and says nothing (pkg/util/iptables).
FAMILY_DROPPED: Literal["family_dropped"] = "family_dropped"
# A neighbour's packet reaches what listens on 127.0.0.1 (chainrace/gate/guard.py).
GUARD_OPEN: Literal["guard_open"] = "guard_open"
# A command of the user's, which ends with 0 after a clean start, ends with another code.
CHECK_FAILED: Literal["check_failed"] = "check_failed"
RULES_LOST: Literal["rules_lost"] = "rules_lost"
HINT_LOST: Literal["hint_lost"] = "hint_lost"
CANARY_LOST: Literal["canary_lost"] = "canary_lost"
ENVIRONMENT: Literal["environment"] = "environment"
# Several can hold at once; one name alone is that of the first of these.
WORST_FIRST: tuple[Name, ...] = (
    INIT_FAILED,
    FAMILY_DROPPED,
    GUARD_OPEN,
    CHECK_FAILED,
    RULES_LOST,
    HINT_LOST,
    CANARY_LOST,
    HEALTHY,
)

# Of azure-npm, where the subject is not kubelet.
NOT_ASKED = ""
HINT = "KUBE-IPTABLES-HINT"
# Where azure-npm looks, and in which order (npm/pkg/dataplane/policies/chain-management_linux.go
# of azure-container-networking): table mangle, the hint, then the canary.
DETECTED_BY = (f"mangle :{HINT}", f"mangle :{CANARY}")

# The outage's own words, and what other iptables commands say of the same loss:
# iptables v1.8.11 (nf_tables): Chain 'KUBE-FIREWALL' does not exist
# iptables: No chain/target/match by that name.
# iptables v1.8.11 (legacy): Couldn't load target `KUBE-FIREWALL':No such file or directory
SIGNATURE = re.compile(
    r"Chain '?KUBE-[A-Z-]+'? does not exist|No chain/target/match by that name"
    r"|Couldn't load target `KUBE-[A-Z-]+'"
)

# E1121 06:52:16.5 1085 kubelet_network_linux.go:80] "Failed to ensure that ..." err=<
# E1121 06:52:16.5 1085 kubelet_network_linux.go:99] Failed to ensure that ...: error (1.20)
CAUSE = re.compile(r"\] \"?Failed to ensure ")
# Every message of klog begins so; a line that does not belongs to the message before it.
# E1121 06:52:16.510000    1085 kubelet_network_linux.go:80]
HEADER = re.compile(r"[IWEF]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ [\w.-]+:\d+\]")


@dataclass(frozen=True)
class FamilyOutcome:
    """One family: its failure modes or `healthy`, kubelet's cause of a failure, what is missing."""

    modes: tuple[Name, ...]
    cause: str = ""
    missing: tuple[str, ...] = ()

    @property
    def outcome(self) -> Name:
        return worst(self.modes)


@dataclass(frozen=True)
class Outcome:
    """Both families; the trial's one name is the worst of their failure modes."""

    families: Mapping[str, FamilyOutcome]
    signature: bool  # kubelet failed, with the outage's own message
    detected_by: str | None  # the chain that azure-npm would find, None for the outage

    @property
    def name(self) -> Name:
        return worst(name for family in self.families.values() for name in family.modes)


def worst(modes: Iterable[Name]) -> Name:
    """The gravest of some failure modes."""
    return min(modes, key=WORST_FIRST.index)


def reference_rules(
    before: Mapping[str, str], ending: Ending, calls: Iterable[Call]
) -> dict[str, RuleSet]:
    """What a clean start adds to the rules, by family: what kubelet promises is there.

    What was there before is others', and its loss no harm of kubelet's. `before` are the rules
    that it began with, as iptables-save texts by family; `calls` are all that were seen. Raises
    ValueError when that start was not clean, or not seen whole: then nothing can be compared.
    """
    found = {}
    for family in FAMILIES:
        if ending.words.get(family) != "initialised":
            raise ValueError(f"kubelet did not initialise {family} even on a clean start")
        found[family] = _added(before, ending, family)
        if not found[family].entries:
            raise ValueError(f"kubelet's clean start added no {family} rules at all")
    if missed := unmade(before, ending.after, calls):
        raise ValueError(f"kubelet was not seen to make {', '.join(missed)}")
    return found


def reference_of_unit(before: Mapping[str, str], ending: Ending, name: str) -> dict[str, RuleSet]:
    """What a unit's clean start adds to the rules, by family: as `reference_rules`.

    Raises ValueError where that start failed, or added nothing at all, or the user's own check
    fails after it.
    """
    if "failed" in ending.words.values():
        raise ValueError(f"{name} failed even on a clean start")
    if ending.check:
        raise ValueError(f"the check of {name} ends with {ending.check} even after a clean start")
    found = {family: _added(before, ending, family) for family in FAMILIES}
    if not any(one.entries for one in found.values()):
        raise ValueError(f"{name} added no rules at all in its clean start")
    return found


def _added(before: Mapping[str, str], ending: Ending, family: str) -> RuleSet:
    added = rules.parse(ending.after[family]).missing_from(rules.parse(before[family]))
    return RuleSet(frozenset(added))


def judge_unit(reference: Mapping[str, RuleSet], ending: Ending) -> Outcome:
    """What became of a unit's rules, family by family, and what the user's own check says."""
    families = {}
    for family in FAMILIES:
        missing = reference[family].missing_from(rules.parse(ending.after[family]))
        found: dict[Name, object] = {
            INIT_FAILED: ending.words.get(family) == "failed",
            CHECK_FAILED: ending.check,
            RULES_LOST: missing,
        }
        modes = tuple(name for name, holds in found.items() if holds)
        cause = f"the check ended with {ending.check}" if found[CHECK_FAILED] else ""
        families[family] = FamilyOutcome(modes or (HEALTHY,), cause, missing)
    return Outcome(families, signature=False, detected_by=NOT_ASKED)


def judge(
    reference: Mapping[str, RuleSet], ending: Ending, allowed: Collection[int] = ()
) -> Outcome:
    """Compare what a trial left with the reference, family by family.

    `allowed` are the ports of 127.0.0.1 that a neighbour reaches after a clean start.
    """
    families = {family: judge_family(reference, ending, family, allowed) for family in FAMILIES}
    left = rules.parse(ending.after["ipv4"]).entries
    return Outcome(
        families,
        signature=any(SIGNATURE.search(one.cause) for one in families.values()),
        detected_by=next((name for name in DETECTED_BY if name in left), None),
    )


def judge_family(
    reference: Mapping[str, RuleSet], ending: Ending, family: str, allowed: Collection[int] = ()
) -> FamilyOutcome:
    """What became of one family's rules."""
    missing = reference[family].missing_from(rules.parse(ending.after[family]))
    word = ending.words.get(family)
    cause = ""
    if word == "failed":
        cause = failure_causes(ending.journal).get(family, "")
    elif word is None:
        cause = "kubelet went on without a word about this family"
    modes = _modes(missing, word)
    # kubelet's guard is IPv4's alone, and is there where its initialisation came to its end.
    reached = set(ending.guard) - set(allowed) if family == "ipv4" and word == "initialised" else ()
    if reached:
        cause = f"a neighbour reaches 127.0.0.1, port {', '.join(map(str, sorted(reached)))}"
        found = {GUARD_OPEN, *modes} - {HEALTHY}
        modes = tuple(name for name in WORST_FIRST if name in found)
    return FamilyOutcome(modes, cause, missing)


def _modes(missing: tuple[str, ...], word: str | None) -> tuple[Name, ...]:
    """Every failure mode that holds. A kubelet that failed has made no canaries to lose."""
    found: list[Name] = []
    if word == "failed":
        found.append(INIT_FAILED)
    elif word is None:
        found.append(FAMILY_DROPPED)
    initialised = word == "initialised"
    others = [entry for entry in missing if not entry.endswith((f":{HINT}", f":{CANARY}"))]
    if initialised and others:
        found.append(RULES_LOST)
    if any(entry.endswith(f":{HINT}") for entry in missing):
        found.append(HINT_LOST)
    if initialised and any(entry.endswith(f":{CANARY}") for entry in missing):
        found.append(CANARY_LOST)
    return tuple(found) or (HEALTHY,)


def failure_causes(journal: tuple[str, ...]) -> dict[str, str]:
    """Kubelet's own words for why a family's initialisation failed, by family.

    The cause is logged just before the failure. What iptables said of it stands in the lines
    below, as far as klog's next header: within err=< and >, or in old kubelets as it is.
    """
    causes = {}
    last: list[str] = []
    inside = False
    for line in journal:
        if HEADER.match(line):
            inside = False
        if CAUSE.search(line):
            last, inside = [line], True
        elif found := FAILED.search(line):
            causes[FAMILY_OF_PROTOCOL[found[1]]] = " ".join(last)
            last = []
        elif inside and line.strip() not in ("", ">"):
            last.append(line.strip())
    return causes
