"""The outage end to end, in a cluster: what became of azure-npm's pod after each script."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chainrace.judge.verdict import (
    CONFIRMED,
    FIXED,
    INCONCLUSIVE,
    NOT_REPRODUCED,
    ORIGINAL,
    REFUTED,
    THE_FIX,
)

# error: failed to bootup policy manager: failed to detect iptables version: unable to locate ...
WORDS = "failed to detect iptables version: unable to locate which iptables version"
# What azure-npm makes once it has started (npm/pkg/dataplane/policies, chain-management_linux.go):
# -A FORWARD -m conntrack --ctstate NEW -j AZURE-NPM
JUMP = re.compile(r"^-A FORWARD .*-j AZURE-NPM$", re.MULTILINE)
SAID_LINES = 4


@dataclass(frozen=True)
class PodLine:
    """A line of `kubectl get pods -A --watch`, so many seconds after the script began."""

    seconds: float
    text: str


@dataclass(frozen=True)
class Start:
    """kubelet's start beside a script, and what came of azure-npm's pod.

    `words` are kubelet's, by family (initialised, failed). `missing` are the rules of kubelet's
    clean start that are not there once its start is over, `later` those at the end, when
    kube-proxy has run; both by family. It was watched for `seconds` after azure-npm's first try.
    """

    script: str
    schedule: str
    words: Mapping[str, str]
    missing: Mapping[str, tuple[str, ...]]
    later: Mapping[str, tuple[str, ...]]
    pods: tuple[PodLine, ...]
    restarts: int
    crashloops: bool
    runs: bool
    said: str  # the last lines of azure-npm's own log
    seconds: float

    @property
    def outage(self) -> bool:
        """Whether it is the outage, in its own words."""
        return self.crashloops and WORDS in self.said

    @property
    def harmed(self) -> bool:
        """Whether something of kubelet's is missing, or azure-npm says so."""
        return WORDS in self.said or any(self.missing.values()) or any(self.later.values())


@dataclass(frozen=True)
class Repair:
    """What was done where the original script had harmed, and whether azure-npm runs then.

    `missing` is as in Start, at the end; `seconds` until azure-npm's next try had come to its end.
    """

    action: str
    runs: bool
    missing: Mapping[str, tuple[str, ...]]
    seconds: float


def last_words(log: str) -> str:
    """What to show of azure-npm's log: its last line in the outage's words, else its last ones."""
    lines = log.splitlines()
    outage = [line for line in lines if WORDS in line]
    return "\n".join(outage[-1:] or lines[-SAID_LINES:])


def has_jump(rules: Mapping[str, str]) -> bool:
    """Whether azure-npm has set its jump, in iptables-save texts by family."""
    return any(JUMP.search(text) for text in rules.values())


def conclude(starts: Sequence[Start], script: str = THE_FIX) -> tuple[str, str]:
    """The verdict, and the sentence behind it. `script` is what stands in the fix's place.

    Confirmed: the outage came after the original, in its own words, and azure-npm runs after the
    fix, in each schedule. Refuted: it does not run after the fix, and something of kubelet's is
    missing. A schedule is one order of many: whether the fix harms in none, an exploration says.
    """
    fixed = [one for one in starts if one.script == FIXED]
    original = next((one for one in starts if one.script == ORIGINAL), None)
    bad = next((one for one in fixed if not one.runs), None)
    if bad:
        again = f"it was started {bad.restarts} times again ({bad.schedule})"
        if bad.harmed:
            return REFUTED, f"azure-npm's pod does not run after {script}: {again}"
        return INCONCLUSIVE, f"azure-npm fails after {script}, but not as in the outage: {again}"
    if not fixed or not original:
        return INCONCLUSIVE, "it did not come to both scripts"
    made = " and ".join(one.schedule for one in fixed)
    after = f"after {script} it runs, {fixed[0].seconds:.0f} s without a restart ({made})"
    if original.outage:
        crashed = (
            f"azure-npm's pod is in CrashLoopBackOff after the original, with {_times(original)}"
        )
        return CONFIRMED, f"{crashed}, in the outage's own words; {after}"
    if original.runs:
        return NOT_REPRODUCED, f"azure-npm's pod runs after the original, too; {after}"
    return (
        INCONCLUSIVE,
        f"azure-npm's pod fails after the original, but not as in the outage; {after}",
    )


def _times(start: Start) -> str:
    return f"{start.restarts} restarts in {start.seconds:.0f} s"
