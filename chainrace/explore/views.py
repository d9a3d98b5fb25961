"""Reads what the gate's agent shows of a node (`Stepping.view`, chainrace/gate/stepping.py)."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest

from chainrace.base.errors import LabError
from chainrace.judge import outcome as outcomes
from chainrace.model.actors import SCRIPT_ACTOR, SUBJECT, SUBJECT_ACTOR, owner
from chainrace.model.guarantee import Promised
from chainrace.model.protocol import View, Watched
from chainrace.model.rules import RuleSet
from chainrace.model.shells import SHELLS
from chainrace.model.subject import Subject
from chainrace.model.trial import Call, Ending
from chainrace.search import state as states
from chainrace.search.command import called
from chainrace.search.state import Made, State
from chainrace.subjects.kubelet.subject import SUBJECT as KUBELET


def as_seen(view: View) -> View:
    """The view itself."""
    return view


def ending_of(view: View | Watched) -> Ending:
    """What is left, from a view with rules and evidence, or from what was watched."""
    return Ending(
        view["words"],
        tuple(view["journal"]),
        view["rules"],
        tuple(view["guard"]),
        view.get("check", 0),
    )


def calls_of(view: View, actor: str) -> tuple[Call, ...]:
    """An actor's commands, from a view: `k`, `x`, or all of the script's lanes for `s`."""
    return tuple(Call.of(one) for one in view["commands"] if owner(one["lane"]) == actor)


def own_programs(view: View) -> tuple[str, ...]:
    """The names of a subject's own programs and scripts: by them a command may mean it."""
    calls = calls_of(view, SUBJECT_ACTOR)
    names = {call.program for call in calls if called(call) is None and call.program not in SHELLS}
    return tuple(sorted(names - {SUBJECT}))


@dataclass(frozen=True)
class Reference:
    """A subject's clean start on a node, no script: what it promises, and all that was seen."""

    promised: Promised
    view: View
    subject: Subject = KUBELET

    @property
    def rules(self) -> Mapping[str, RuleSet]:
        """What the clean start adds, by family."""
        return self.promised.added

    def judge(self, left: Ending, family: str) -> outcomes.FamilyOutcome:
        """What an end means for one family."""
        return self.judge_all(left).families[family]

    def judge_all(self, left: Ending) -> outcomes.Outcome:
        """What an end means for both families."""
        return outcomes.judge(self.subject, self.promised, left)


def reference_of(before: View, clean: View, subject: Subject = KUBELET) -> Reference:
    """What a clean start leaves; `before` is what it began with.

    Raises LabError for a start that was not clean, or not seen whole.
    """
    calls = (Call.of(one) for one in clean["commands"])
    try:
        promised = outcomes.promised_by(subject, before["rules"], ending_of(clean), calls)
    except ValueError as error:
        raise LabError(
            f"no reference can be taken: {error}",
            f"look at both logs: ./lab ssh, journalctl -u {subject.unit} -u chainrace-gate",
        ) from error
    return Reference(promised, clean, subject)


def ending_at(end: State, view: View) -> Ending:
    """What is left in an end state. Raises ValueError where the view is not of that state."""
    seen = states.read(view, end)
    if seen.key != end.key:
        raise ValueError(f"not as inferred: {', '.join(end.differing(seen))}")
    return ending_of(view)


def unlike(one: View, other: View) -> str:
    """What the script did otherwise in one of two runs, in words; empty where nothing."""
    for number, (first, second) in enumerate(zip_longest(_script_in(one), _script_in(other)), 1):
        if first is None or second is None:
            more = first or second
            assert more is not None  # noqa: S101 - zip_longest has one of them at least
            return f"step {number}, {more.call}, was made in one of them alone"
        if first.call != second.call:
            return f"step {number} was {first.call}, and {second.call}"
        if first != second:
            return f"step {number}, {first.call}, was answered otherwise, or wrote something else"
    left = [states.parts(view) for view in (one, other)]
    if parts := [
        name for name in sorted({*left[0], *left[1]}) if left[0].get(name) != left[1].get(name)
    ]:
        return f"other rules were left: {', '.join(parts)}"
    on_the_way = (states.digest(states.places(view)) for view in (one, other))
    return "" if len(set(on_the_way)) == 1 else "other processes waited on the way"


def _script_in(view: View) -> tuple[Made, ...]:
    mine = (
        after.histories[SCRIPT_ACTOR]
        for lane, _, after in reversed(states.places(view))
        if owner(lane) == SCRIPT_ACTOR
    )
    return next(mine, ())
