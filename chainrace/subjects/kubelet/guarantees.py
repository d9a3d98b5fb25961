"""What kubelet promises of an end state, and what it says of a start that failed.

KEP-3178 names the chains; pkg/kubelet/kubelet_network_linux.go of Kubernetes makes them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from chainrace.model.guarantee import Guarantee, Promised
from chainrace.model.mode import INIT_FAILED, RULES_LOST
from chainrace.model.rules import FAMILIES
from chainrace.model.trial import Call, Ending
from chainrace.subjects.kubelet.coverage import unmade
from chainrace.subjects.kubelet.modes import CANARY_LOST, FAMILY_DROPPED, GUARD_OPEN, HINT_LOST
from chainrace.subjects.kubelet.words import CANARY, FAILED, FAMILY_OF_PROTOCOL, HINT

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


def _initialised(_: Promised, end: Ending, family: str) -> str | None:
    if end.words.get(family) != "failed":
        return None
    return failure_causes(end.journal).get(family, "")


def _not_dropped(_: Promised, end: Ending, family: str) -> str | None:
    if end.words.get(family) is not None:
        return None
    return "kubelet went on without a word about this family"


def _guarded(promised: Promised, end: Ending, family: str) -> str | None:
    """Kubelet's guard is IPv4's alone, and is there where its initialisation came to its end."""
    reached = set(end.guard) - set(promised.left.guard)
    if family != "ipv4" or not _came_to_its_end(end, family) or not reached:
        return None
    return f"a neighbour reaches 127.0.0.1, port {', '.join(map(str, sorted(reached)))}"


def _rules_there(promised: Promised, end: Ending, family: str) -> str | None:
    missing = promised.missing(end, family)
    others = [entry for entry in missing if not entry.endswith((f":{HINT}", f":{CANARY}"))]
    return "" if _came_to_its_end(end, family) and others else None


def _hint_there(promised: Promised, end: Ending, family: str) -> str | None:
    return "" if _misses(promised, end, family, HINT) else None


def _canaries_there(promised: Promised, end: Ending, family: str) -> str | None:
    """A kubelet that failed has made no canaries to lose."""
    lost = _came_to_its_end(end, family) and _misses(promised, end, family, CANARY)
    return "" if lost else None


def _came_to_its_end(end: Ending, family: str) -> bool:
    return end.words.get(family) == "initialised"


def _misses(promised: Promised, end: Ending, family: str, chain: str) -> bool:
    return any(entry.endswith(f":{chain}") for entry in promised.missing(end, family))


GUARANTEES = (
    Guarantee(INIT_FAILED, _initialised),
    Guarantee(FAMILY_DROPPED, _not_dropped),
    Guarantee(GUARD_OPEN, _guarded),
    Guarantee(RULES_LOST, _rules_there),
    Guarantee(HINT_LOST, _hint_there),
    Guarantee(CANARY_LOST, _canaries_there),
)


def unclean(promised: Promised, before: Mapping[str, str], calls: tuple[Call, ...]) -> str:
    """Why a start of kubelet's was not clean, or not seen whole; empty where it was."""
    for family in FAMILIES:
        if promised.left.words.get(family) != "initialised":
            return f"kubelet did not initialise {family} even on a clean start"
        if not promised.added[family].entries:
            return f"kubelet's clean start added no {family} rules at all"
    missed = unmade(before, promised.left.after, calls)
    return f"kubelet was not seen to make {', '.join(missed)}" if missed else ""


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
