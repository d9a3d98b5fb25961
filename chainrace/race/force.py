"""What an exploration by force shows: end states, findings, and the verdict on a script."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from chainrace.gate.words import CANARY
from chainrace.race.exposure import NOT_EXPOSED
from chainrace.race.outcome import HEALTHY, WORST_FIRST, FamilyOutcome, Name
from chainrace.race.outcomemap import OutcomeMap
from chainrace.race.schedule import Schedule
from chainrace.race.shortest import cost
from chainrace.race.verdict import (
    CONFIRMED,
    EXIT_CODES,
    FIXED,
    INCONCLUSIVE,
    ORIGINAL,
    REFUTED,
)

LOOKED_FOR = f"mangle :{CANARY}"
HARMLESS: Literal["harmless"] = "harmless"
HARMFUL: Literal["harmful"] = "harmful"
UNFINISHED: Literal["unfinished"] = "unfinished"
EXIT_OF = {**EXIT_CODES, NOT_EXPOSED: 0, HARMLESS: 0, HARMFUL: 1, UNFINISHED: 3}


@dataclass(frozen=True)
class EndState:
    """One end state in one family: its plainest schedule and what became of the rules."""

    key: str
    schedule: Schedule
    outcome: FamilyOutcome


@dataclass(frozen=True)
class Graph:
    """What of one family's interleavings was explored. `open` is 0 when all were.

    `interleavings` counts the ways through the graph; each stands for all orders of
    whole processes that differ only in steps that cannot influence each other.
    `orders` counts those orders.
    """

    family: str
    states: int
    transitions: int
    merges: int
    swaps: int
    walked: int
    open: int
    interleavings: int
    orders: int
    preemptions: int | None
    differing: int
    counts: Mapping[str, int]
    seconds: Mapping[str, float]
    ends: tuple[EndState, ...]
    map: OutcomeMap

    @property
    def complete(self) -> bool:
        """Whether every interleaving is covered."""
        return self.open == 0 and self.preemptions is None

    def classes(self) -> dict[Name, int]:
        """How many end states each class holds in."""
        found: dict[Name, int] = {}
        for end in self.ends:
            for name in end.outcome.classes:
                found[name] = found.get(name, 0) + 1
        return found

    def kinds(self) -> list[list[EndState]]:
        """The harmed end states by kind, the plainest first.

        A kind is the classes, and whether the canary that kubelet's Monitor looks for (the
        one in mangle; iptables.go) is there: which other entries are lost makes no difference
        to what it does then.
        """
        found: dict[object, list[EndState]] = {}
        for end in sorted(self.ends, key=lambda end: (cost(end.schedule), str(end.schedule))):
            mine = end.outcome
            if mine.outcome != HEALTHY:
                found.setdefault((mine.classes, LOOKED_FOR in mine.missing), []).append(end)
        return list(found.values())


@dataclass(frozen=True)
class Healing:
    """What kubelet's Monitor made of an end state: whether it looked, what it left missing."""

    looked: bool
    missing: tuple[str, ...]

    @property
    def healed(self) -> bool:
        return not self.missing


@dataclass(frozen=True)
class Finding:
    """A kind of harm: its plainest schedule, how replays of that ended, whether it heals.

    `outcome` is that of the plainest of all `end_states` of this kind.
    """

    family: str
    schedule: Schedule
    outcome: FamilyOutcome
    signature: bool
    detected_by: str | None
    end_states: int
    replays: int
    same: int
    healing: Healing | None

    @property
    def reproduced(self) -> bool:
        """Whether every replay ended the same."""
        return self.replays > 0 and self.same == self.replays


@dataclass(frozen=True)
class Explored:
    """One script, by force. `remark` says what is odd about it (it touches nothing, say).

    `begun` says whether both families were explored at all.
    """

    script: str
    commands: int
    remark: str
    begun: bool
    graphs: tuple[Graph, ...]
    findings: tuple[Finding, ...]

    def simplest(self) -> dict[Name, Finding]:
        """For each class of harm the plainest finding that was reproduced."""
        found: dict[Name, Finding] = {}
        for one in sorted(self.findings, key=lambda one: cost(one.schedule)):
            for name in one.outcome.classes:
                if one.reproduced:
                    found.setdefault(name, one)
        return {name: found[name] for name in WORST_FIRST if name in found}

    @property
    def word(self) -> str:
        """harmless, harmful or unfinished."""
        if any(finding.reproduced for finding in self.findings):
            return HARMFUL
        unreplayed = sum(len(graph.kinds()) for graph in self.graphs) > len(self.findings)
        if self.findings or unreplayed or not self.begun:
            return UNFINISHED
        if not all(graph.complete for graph in self.graphs):
            return UNFINISHED
        return HARMLESS

    @property
    def reason(self) -> str:
        """The sentence behind the word."""
        if self.word == HARMFUL:
            return f"interleavings harm kubelet: {', '.join(self.simplest())}"
        if self.findings:
            return "a finding did not come out the same when it was replayed"
        if any(graph.kinds() for graph in self.graphs):
            return "harm was seen, but not replayed yet"
        states = sum(graph.states for graph in self.graphs)
        orders = sum(graph.orders for graph in self.graphs)
        if self.word == UNFINISHED:
            left = sum(graph.open for graph in self.graphs)
            bound = next((g.preemptions for g in self.graphs if g.preemptions is not None), None)
            if left == 0 and bound is not None:
                return f"no harm with {bound} preemptions; more were not tried ({states} states)"
            return f"no harm in {states} states so far; {left} steps are still to be tried"
        return (
            f"no interleaving harms kubelet: {states} states, for {orders:.3g} orders of processes"
        )


def conclusion(explored: Mapping[str, Explored]) -> tuple[str, str]:
    """The word on what was explored, and the sentence behind it.

    Of the outage's two scripts the verdict on the bug and its fix; of any one script
    its own word.
    """
    if explored.keys() == {ORIGINAL, FIXED}:
        return decide(explored[ORIGINAL], explored[FIXED])
    if len(explored) == 1:
        (one,) = explored.values()
        return one.word, one.reason
    return UNFINISHED, "not every script was explored"


def decide(original: Explored, fixed: Explored) -> tuple[str, str]:
    """The verdict on an outage's original script and its fix, and the sentence behind it."""
    signed = [one for one in original.findings if one.signature and one.reproduced]
    if fixed.word == HARMFUL:
        return REFUTED, f"the fixed script: {fixed.reason}"
    if original.word == HARMLESS:
        return REFUTED, f"the original: {original.reason}"
    if fixed.word == UNFINISHED:
        return INCONCLUSIVE, f"the fixed script: {fixed.reason}"
    if not signed:
        return INCONCLUSIVE, "the original was not seen to break kubelet with the outage's message"
    return CONFIRMED, (
        f"the original breaks kubelet's start ({signed[0].schedule}) with the outage's own "
        f"message; the fixed script: {fixed.reason}"
    )
