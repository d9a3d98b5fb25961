"""What an exhaustive exploration shows: end states, findings, and the verdict on a script."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from chainrace.judge.exposure import NOT_EXPOSED
from chainrace.judge.outcome import WORST_FIRST, FamilyOutcome
from chainrace.judge.outcomemap import OutcomeMap
from chainrace.judge.verdict import (
    CONFIRMED,
    EXIT_CODES,
    FIXED,
    INCONCLUSIVE,
    NOT_REPRODUCED,
    ORIGINAL,
    REFUTED,
)
from chainrace.model.mode import HEALTHY
from chainrace.model.schedule import Schedule, cost

HARMLESS: Literal["harmless"] = "harmless"
HARMFUL: Literal["harmful"] = "harmful"
UNFINISHED: Literal["unfinished"] = "unfinished"
# Something was seen that the proof does not allow for.
NOT_PROVED: Literal["not proved"] = "not proved"
# The script did nothing that could be ordered, or does not come to its end.
NOT_EXERCISED: Literal["not exercised"] = "not exercised"
ScriptVerdict = Literal["harmless", "harmful", "unfinished", "not proved", "not exercised"]
EXIT_OF = {
    **EXIT_CODES,
    NOT_EXPOSED: 0,
    HARMLESS: 0,
    HARMFUL: 1,
    UNFINISHED: 3,
    NOT_PROVED: 3,
    NOT_EXERCISED: 3,
}
# Of a graph that is drawn: nobody can look at more.
MOST_EDGES = 5_000
# A number that is longer is told by its digits: it can be too large for a float.
MOST_TOLD = 10**300


@dataclass(frozen=True)
class EndState:
    """One end state in one family: its shortest schedule and what became of the rules."""

    key: str
    schedule: Schedule
    outcome: FamilyOutcome


@dataclass(frozen=True)
class Edge:
    """A step from one state to another, both by their keys: the lane that makes it, its command."""

    origin: str
    lane: str
    command: str
    target: str


@dataclass(frozen=True)
class Graph:
    """What of one family's interleavings was explored. `open` is 0 when all were.

    `interleavings` counts the ways through the graph; each stands for all orders of
    whole processes that differ only in steps that cannot influence each other.
    `orders` counts those orders. `edges` are its steps, the first from where all begins; there
    are none where they are more than `MOST_EDGES`.
    """

    family: str
    states: int
    transitions: int
    merges: int
    executed: int
    open: int
    interleavings: int
    orders: int
    preemptions: int | None
    differing: int
    counts: Mapping[str, int]
    seconds: Mapping[str, float]
    ends: tuple[EndState, ...]
    map: OutcomeMap
    edges: tuple[Edge, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every interleaving is covered."""
        return self.open == 0 and self.preemptions is None

    def modes(self) -> dict[str, int]:
        """How many end states each failure mode holds in."""
        found: dict[str, int] = {}
        for end in self.ends:
            for name in end.outcome.modes:
                found[name] = found.get(name, 0) + 1
        return found

    def failure_modes(self) -> set[str]:
        """The failure modes that were seen so far: in its ends, and in the map."""
        ends = {name for end in self.ends for name in end.outcome.modes}
        return (ends | {name for cell in self.map.cells for name in cell.modes}) - {HEALTHY}

    def by_mode(self) -> list[list[EndState]]:
        """The harmed end states by failure mode, the shortest first.

        Two ends belong together where their modes are the same, and where the subject notices
        the loss in both or in neither: which other entries are lost makes no difference to
        what it does then.
        """
        found: dict[object, list[EndState]] = {}
        for end in sorted(self.ends, key=lambda end: (cost(end.schedule), str(end.schedule))):
            mine = end.outcome
            if mine.outcome != HEALTHY:
                found.setdefault((mine.modes, mine.noticed), []).append(end)
        return list(found.values())


@dataclass(frozen=True)
class Healing:
    """What a subject made of an end state by itself, in so many seconds.

    `looked`: it was seen to look at its rules (kubelet's Monitor). `left` is what it came to.
    """

    looked: bool
    seconds: float
    left: FamilyOutcome

    @property
    def missing(self) -> tuple[str, ...]:
        return self.left.missing

    @property
    def healed(self) -> bool:
        return self.left.outcome == HEALTHY


@dataclass(frozen=True)
class Finding:
    """A failure mode: its shortest schedule, how replays of that ended, whether it heals.

    `outcome` is that of the shortest of all `end_states` of this kind.
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
class Stand:
    """What an exploration says of one script, as far as a verdict on two needs it.

    `signed`: the schedule by which it breaks kubelet's start with the outage's own message, in
    every replay; empty where there is none.
    """

    verdict: ScriptVerdict
    reason: str
    signed: str = ""


NOT_BEGUN = Stand(UNFINISHED, "it was not come to")


@dataclass(frozen=True)
class Explored:
    """One script, explored. `remark` says what is odd about it (it touches nothing, say).

    `begun` says whether both families were explored at all. `doubts` are sentences on why
    nothing is proved; `unexercised` is one on why the script was not exercised, else empty.
    `alone` is what it does to others when it runs alone: that is no harm of the subject's. `race`
    says of whom its schedules are (model/schedule.py).
    """

    script: str
    commands: int
    remark: str
    begun: bool
    graphs: tuple[Graph, ...]
    findings: tuple[Finding, ...]
    doubts: tuple[str, ...] = ()
    unexercised: str = ""
    alone: tuple[str, ...] = ()
    subject: str = "kubelet"
    race: str = ""

    def shortest(self) -> dict[str, Finding]:
        """For each failure mode the shortest finding that was reproduced."""
        found: dict[str, Finding] = {}
        for one in sorted(self.findings, key=lambda one: cost(one.schedule)):
            for name in one.outcome.modes:
                if one.reproduced:
                    found.setdefault(name, one)
        return {name: found[name] for name in WORST_FIRST if name in found}

    @property
    def verdict(self) -> ScriptVerdict:
        """A harm that came out the same is harm, whatever else is in doubt."""
        if any(finding.reproduced for finding in self.findings):
            return HARMFUL
        if self.unexercised:
            return NOT_EXERCISED
        if self.doubts:
            return NOT_PROVED
        return UNFINISHED if self.pending() else HARMLESS

    @property
    def reason(self) -> str:
        """The sentence behind the verdict."""
        verdict = self.verdict
        if verdict == HARMFUL:
            parts = [
                f"interleavings harm {self.subject}: {', '.join(self.shortest())}",
                *self._open(),
            ]
            if self.doubts:
                parts.append(f"besides, something is in doubt: {self._doubt}")
            return "; ".join(parts)
        if verdict == NOT_EXERCISED:
            return f"{NOT_EXERCISED}: {self.unexercised}"
        if verdict == NOT_PROVED:
            seen = f"; {self._so_far}" if self._harms() else ""
            return f"{NOT_PROVED}: {self._doubt}{seen}"
        if verdict == UNFINISHED:
            return "; ".join((self._so_far, *self.pending()))
        orders = in_short(sum(graph.orders for graph in self._apart))
        what = f"no order of whole processes harms {self.subject}"
        return f"{what}: {self._states}, for {orders} orders"

    @property
    def stand(self) -> Stand:
        """The same for a verdict on two scripts."""
        signed = [one for one in self.findings if one.signature and one.reproduced]
        return Stand(self.verdict, self.reason, str(signed[0].schedule) if signed else "")

    def pending(self) -> tuple[str, ...]:
        """What keeps it from being called harmless, and is neither harm nor doubt."""
        bound = next((g.preemptions for g in self.graphs if g.preemptions is not None), None)
        found = list(self._open())
        if self.findings and not all(one.reproduced for one in self.findings):
            found.insert(0, "a finding did not come out the same when it was replayed")
        if bound is not None:
            found.append(f"of preemptions at most {bound} were tried")
        if not self.begun or not self.graphs:
            found.append("not every family was explored")
        return tuple(found)

    def _open(self) -> tuple[str, ...]:
        """What is still to be done of what was begun."""
        left = sum(graph.open for graph in self._apart)
        left_to_replay = sum(len(graph.by_mode()) for graph in self.graphs) - len(self.findings)
        found = []
        if left_to_replay > 0:
            found.append(
                f"{left_to_replay} failure mode{'s' * (left_to_replay > 1)} still to be replayed"
            )
        if left:
            found.append(f"{left} step{'s' * (left > 1)} still to be tried")
        return tuple(found)

    @property
    def _apart(self) -> Sequence[Graph]:
        """Those that were explored apart: of two families together the second has no states."""
        return [graph for graph in self.graphs if graph.states] or self.graphs

    def _harms(self) -> list[str]:
        """The failure modes that were seen, reproduced or not, the gravest first."""
        seen = {name for one in self.findings for name in one.outcome.modes}
        seen.update(*(graph.failure_modes() for graph in self.graphs))
        return [name for name in WORST_FIRST if name in seen - {HEALTHY}]

    @property
    def _so_far(self) -> str:
        if harms := self._harms():
            return f"harm was seen, but is not confirmed by replays: {', '.join(harms)}"
        return f"no harm in {self._states} so far"

    @property
    def _states(self) -> str:
        return f"{sum(graph.states for graph in self.graphs)} states"

    @property
    def _doubt(self) -> str:
        """The first doubt, and how many more there are."""
        more = len(self.doubts) - 1
        return self.doubts[0] + (f" (and {more} more doubt{'s' * (more > 1)})" if more else "")


def in_short(number: int) -> str:
    """`1.33e+09`, also of a number that is too large for a float."""
    # Its digits cannot be counted by writing it down: Python refuses that of very many.
    digits = number.bit_length() * 3 // 10
    return f"{number:.3g}" if abs(number) < MOST_TOLD else f"1e+{digits} or more"


def conclusion(explored: Mapping[str, Explored], wanted: Collection[str] = ()) -> tuple[str, str]:
    """The verdict on what was explored, and the sentence behind it.

    Of the outage's two scripts the verdict on the bug and its fix; of any one script its own
    verdict. `wanted` are the names of all that were to be explored.
    """
    return conclude({name: one.stand for name, one in explored.items()}, wanted)


def conclude(stands: Mapping[str, Stand], wanted: Collection[str] = ()) -> tuple[str, str]:
    """The same from what was stored."""
    names = {*wanted, *stands}
    if names == {ORIGINAL, FIXED}:
        return decide(stands.get(ORIGINAL, NOT_BEGUN), stands.get(FIXED, NOT_BEGUN))
    if len(stands) == len(names) == 1:
        (one,) = stands.values()
        return one.verdict, one.reason
    return UNFINISHED, "not every script was explored"


def decide(original: Stand, fixed: Stand) -> tuple[str, str]:
    """The verdict on an outage's original script and its fix, and the sentence behind it."""
    of_original, of_fixed = (
        f"the original: {original.reason}",
        f"the fixed script: {fixed.reason}",
    )
    if fixed.verdict == HARMFUL:
        return REFUTED, of_fixed
    if original.verdict == HARMLESS:
        return NOT_REPRODUCED, f"the bug is not there; {of_original}"
    if fixed.verdict in (NOT_PROVED, NOT_EXERCISED):
        return fixed.verdict, f"{of_fixed}; {of_original}"
    if fixed.verdict == UNFINISHED:
        return INCONCLUSIVE, f"{of_fixed}; {of_original}"
    if not original.signed:
        never = "; none broke its start with the outage's own message"
        said = never if original.verdict == HARMFUL else ""
        return INCONCLUSIVE, f"{of_original}{said}; {of_fixed}"
    return CONFIRMED, (
        f"the original breaks kubelet's start ({original.signed}) with the outage's own "
        f"message; {of_fixed}"
    )
