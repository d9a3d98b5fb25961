"""What became of kubelet's rules in one trial, against the reference."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from chainrace.gate.words import FAILED, FAMILY_OF_PROTOCOL
from chainrace.race import rules
from chainrace.race.rules import FAMILIES, RuleSet
from chainrace.race.trial import Seen

Name = Literal["healthy", "init_failed", "rules_lost", "environment"]
HEALTHY: Literal["healthy"] = "healthy"
INIT_FAILED: Literal["init_failed"] = "init_failed"
RULES_LOST: Literal["rules_lost"] = "rules_lost"
ENVIRONMENT: Literal["environment"] = "environment"

# The outage's own words, and what other iptables commands say of the same loss:
# iptables v1.8.11 (nf_tables): Chain 'KUBE-FIREWALL' does not exist
# iptables: No chain/target/match by that name.
SIGNATURE = re.compile(r"Chain '?KUBE-[A-Z-]+'? does not exist|No chain/target/match by that name")

# E1121 06:52:16.5 1085 kubelet_network_linux.go:80] "Failed to ensure that ..." err=<
CAUSE = re.compile(r'"Failed to ensure [^"]*"')


@dataclass(frozen=True)
class FamilyOutcome:
    """One family: the class, kubelet's own cause for a failure, what is missing."""

    outcome: Name
    cause: str = ""
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """Both families; the trial's class is the worst of them."""

    families: Mapping[str, FamilyOutcome]
    signature: bool  # kubelet failed, with the outage's own message

    @property
    def name(self) -> Name:
        classes = {family.outcome for family in self.families.values()}
        if INIT_FAILED in classes:
            return INIT_FAILED
        return RULES_LOST if RULES_LOST in classes else HEALTHY


def reference_rules(seen: Seen) -> dict[str, RuleSet]:
    """The rules that a clean start leaves, by family.

    Raises ValueError when that start was not clean: then nothing can be compared.
    """
    for family in FAMILIES:
        if seen.words.get(family) != "initialised":
            raise ValueError(f"kubelet did not initialise {family} even on a clean start")
    found = {family: rules.parse(seen.after[family]) for family in FAMILIES}
    for family in FAMILIES:
        if not found[family].missing_from(rules.parse(seen.before[family])):
            raise ValueError(f"kubelet's clean start added no {family} rules at all")
    return found


def judge(reference: Mapping[str, RuleSet], seen: Seen) -> Outcome:
    """Compare what a trial left with the reference, family by family."""
    causes = failure_causes(seen.journal)
    families = {}
    for family in FAMILIES:
        missing = reference[family].missing_from(rules.parse(seen.after[family]))
        word = seen.words.get(family)
        if word == "failed":
            families[family] = FamilyOutcome(INIT_FAILED, causes.get(family, ""), missing)
        elif word is None:
            # NewBestEffort drops a family whose first look fails, and says nothing.
            cause = "kubelet went on without a word about this family"
            families[family] = FamilyOutcome(INIT_FAILED, cause, missing)
        elif missing:
            families[family] = FamilyOutcome(RULES_LOST, missing=missing)
        else:
            families[family] = FamilyOutcome(HEALTHY)
    return Outcome(families, any(SIGNATURE.search(one.cause) for one in families.values()))


def failure_causes(journal: tuple[str, ...]) -> dict[str, str]:
    """Kubelet's own words for why a family's initialisation failed, by family.

    The cause is logged just before the failure. klog prints an error of several lines
    as err=< with the lines indented and a closing >.
    """
    causes = {}
    last: list[str] = []
    inside = False
    for line in journal:
        if CAUSE.search(line):
            last, inside = [line], line.endswith("err=<")
        elif inside and line.strip() == ">":
            inside = False
        elif inside:
            last.append(line.strip())
        elif found := FAILED.search(line):
            causes[FAMILY_OF_PROTOCOL[found[1]]] = " ".join(last)
            last = []
    return causes
