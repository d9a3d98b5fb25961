"""Where an exploration begins, which families it is of, and what the script does alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chainrace.explore.views import calls_of
from chainrace.explore.walker import Turns
from chainrace.model import rules
from chainrace.model.actors import KUBELETS, SCRIPT_ACTOR, SUBJECT_ACTOR
from chainrace.model.protocol import View
from chainrace.model.rules import FAMILIES, plain
from chainrace.model.trial import Call
from chainrace.search import state as states
from chainrace.search.step import EVERYTHING, LIVES, footprint, touches


@dataclass(frozen=True)
class ScriptAlone:
    """The script's own run, nothing of kubelet's made yet; and its run when kubelet has done.

    `unended` says what it was doing where it did not come to its end; `takes` what was there
    before it and is not afterwards.
    """

    calls: tuple[Call, ...]
    code: int | None
    changed: bool  # whether the rules were different afterwards
    ordered: bool  # whether kubelet's start waits for it: systemd orders the two
    restarts: bool  # whether it restarts kubelet
    afterwards: tuple[Call, ...]
    unended: str
    takes: tuple[str, ...]
    looked: bool  # whether a shell of its looked by itself where kubelet's work may show

    @staticmethod
    def of(start: View, alone: View, afterwards: View, *, ordered: bool) -> "ScriptAlone":
        """From views of the start, of the script's end alone, and of its end after kubelet."""
        before, left = states.parts(start), states.parts(alone)
        return ScriptAlone(
            calls=calls_of(alone, SCRIPT_ACTOR),
            code=alone["script_code"],
            changed=before != left,
            ordered=ordered,
            restarts=max(alone["restarts"], afterwards["restarts"]) > 0,
            afterwards=calls_of(afterwards, SCRIPT_ACTOR),
            unended=_unended(alone) or _unended(afterwards),
            takes=tuple(
                f"{family} {entry}"
                for family in FAMILIES
                for entry in _taken(start["rules"], alone["rules"], family)
            ),
            looked=any(one["looked"] for one in alone["commands"] + afterwards["commands"]),
        )

    @property
    def runs_nothing(self) -> bool:
        """Whether a shell script runs no program, alone and after kubelet, nor changes rules."""
        runs = max(len(self.calls), len(self.afterwards)) > 1
        return not runs and not self.changed and self.calls[0].kind == "shell"

    @property
    def joins(self) -> bool:
        """Whether its steps may join the families: then both are explored together.

        It looks at kubelet itself, or does what is not understood; or does other things once
        kubelet has done, and touches both families.
        """
        calls = {*self.calls, *self.afterwards}
        made = [footprint(call) for call in calls]
        if self.ordered or self.restarts or self.looked:
            return True
        if any(one == EVERYTHING for one in made):
            return True
        if any(one.reads & LIVES for one in made):
            return True
        both = all(any(touches(one, family) for one in made) for family in FAMILIES)
        return both and self.calls != self.afterwards


def _unended(view: View) -> str:
    if view["done"][SCRIPT_ACTOR]:
        return ""
    waiting: Mapping[str, Any] | None = view["next"].get(SCRIPT_ACTOR)
    steps = len(calls_of(view, SCRIPT_ACTOR))
    if waiting is None:
        return f"it does not come to its end; so far it made {steps} steps"
    last = " ".join((waiting["program"], *waiting["arguments"]))
    return f"it does not come to its end: after {steps} steps it is about to run {last}"


def _taken(before: Mapping[str, str], after: Mapping[str, str], family: str) -> Sequence[str]:
    """Entries and policies that were there and are not any more."""
    gone = list(rules.parse(before[family]).missing_from(rules.parse(after[family])))
    kept = set(_policies(after[family]))
    return [
        *gone,
        *(f"policy {one}" for table, one in _policies(before[family]) if (table, one) not in kept),
    ]


def _policies(text: str) -> list[tuple[str, str]]:
    """Each table's built-in chains with their policies."""
    return [
        (table, line)
        for table, section in rules.sections(text).items()
        for line in plain(section)
        if line.startswith(":") and not line.endswith(" -")
    ]


# kubelet works on one family after the other, in an order of its own choice. The lab
# takes starts that begin with IPv4, seven of eight. IPv4 is explored while IPv6 waits; IPv6 from
# where IPv4 is done. Where a step may join the two, both are explored together.
FIRST = "ipv4"
LAZY = ("x",)


def subjects_turns() -> Turns:
    """All that a subject has to do, whichever it is; one that takes no part makes no step."""
    return [(lane, None) for lane in (*KUBELETS, SUBJECT_ACTOR)]


def lead_for(families: Sequence[str]) -> Turns:
    """What is executed before the root of an exploration of some families."""
    return [] if FIRST in families else [("k", None)]


def lazy_for(families: Sequence[str]) -> tuple[str, ...]:
    """Kubelet's lane that waits until the other family's needs it."""
    return () if len(families) > 1 else LAZY
