"""What became of kubelet's rules in one trial, against the reference."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from chainrace.race import rules
from chainrace.race.rules import FAMILIES, RuleSet
from chainrace.race.trial import Seen

HEALTHY = "healthy"
INIT_FAILED = "init_failed"
RULES_LOST = "rules_lost"
ENVIRONMENT = "environment"

# The outage's own words, and those of the legacy backend for the same loss:
# iptables v1.8.11 (nf_tables): Chain 'KUBE-FIREWALL' does not exist
# iptables: No chain/target/match by that name.
SIGNATURE = re.compile(r"Chain '?KUBE-[A-Z-]+'? does not exist|No chain/target/match by that name")

# E1121 06:52:16.5 1085 kubelet_network_linux.go:80] "Failed to ensure that ..." err=<
CAUSE = re.compile(r'"Failed to ensure [^"]*"')


@dataclass(frozen=True)
class FamilyOutcome:
    """One family: the class, kubelet's own cause for a failure, what is missing."""

    outcome: str
    cause: str = ""
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """Both families; the trial's class is the worst of them."""

    families: Mapping[str, FamilyOutcome]
    signature: bool  # kubelet failed, with the outage's own message

    @property
    def name(self) -> str:
        classes = {family.outcome for family in self.families.values()}
        for worst in (INIT_FAILED, RULES_LOST):
            if worst in classes:
                return worst
        return HEALTHY


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
    failure = failure_log(seen.journal)
    families = {}
    for family in FAMILIES:
        missing = reference[family].missing_from(rules.parse(seen.after[family]))
        word = seen.words.get(family)
        if word == "failed":
            families[family] = FamilyOutcome(INIT_FAILED, failure, missing)
        elif word is None:
            # NewBestEffort drops a family whose first look fails, and says nothing.
            cause = "kubelet went on without a word about this family"
            families[family] = FamilyOutcome(INIT_FAILED, cause, missing)
        elif missing:
            families[family] = FamilyOutcome(RULES_LOST, missing=missing)
        else:
            families[family] = FamilyOutcome(HEALTHY)
    failed = any(family.outcome == INIT_FAILED for family in families.values())
    return Outcome(families, signature=failed and bool(SIGNATURE.search(failure)))


def failure_log(journal: tuple[str, ...]) -> str:
    """Kubelet's own words for why its initialisation failed; empty when it did not.

    klog prints a multi-line error as err=< with indented lines and a closing >.
    """
    for number, line in enumerate(journal):
        if not CAUSE.search(line):
            continue
        taken = [line]
        if line.endswith("err=<"):
            for more in journal[number + 1 :]:
                if more.strip() == ">":
                    break
                taken.append(more.strip())
        return " ".join(taken)
    return ""
