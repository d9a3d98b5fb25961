"""Whether the two families may be explored apart: only where no step joins them."""

from collections.abc import Sequence

from chainrace.gate.process import SCRIPT_ACTOR
from chainrace.race.knowledge import Knowledge
from chainrace.race.rules import FAMILIES
from chainrace.race.state import Made, State
from chainrace.race.step import touches


def joined(apart: Sequence[Knowledge]) -> str:
    """Why the families must be explored together; empty where they need not be.

    `apart` is what was learned with each family by itself. In each of these only one family
    is changed by kubelet. So whatever of the script's doing in the other family is not always
    the same there, has come over from the one: by a file, by a pipe, or because it was decided
    by it. And what it does may hang on both together only where it was told something of both.
    """
    both = all(
        any(
            touches(known.footprints.of(made.call), family)
            for known in apart
            for state in known.states.values()
            for made in state.histories[SCRIPT_ACTOR][-1:]
        )
        for family in FAMILIES
    )
    if not both:
        return ""
    for known in apart:
        (family,) = known.families
        if why := _comes_over(known, family):
            return why
    if all(_is_told(known) for known in apart):
        return "the script is told something of both"
    return ""


def _comes_over(known: Knowledge, family: str) -> str:
    """What of one family was seen to decide what the script does in the other."""
    (other,) = (one for one in FAMILIES if one != family)
    calls: dict[int, str] = {}
    left: dict[int, object] = {}
    for state in known.states.values():
        made = state.histories[SCRIPT_ACTOR]
        at = len(made)
        if made and calls.setdefault(at, str(made[-1].call)) != str(made[-1].call):
            return f"the script does other things depending on {family}"
        rules = sorted(one for one in state.rules.items() if one[0].startswith(other))
        if left.setdefault(at, rules) != rules:
            return f"what it leaves in {other} depends on {family}"
    return ""


def _is_told(known: Knowledge) -> bool:
    """Whether the script's shell reads what differs from order to order: by a pipe."""
    told: dict[int, object] = {}
    for state in known.states.values():
        for at, out in _told(state):
            if told.setdefault(at, out) != out:
                return True
    return False


def _told(state: State) -> list[tuple[int, str]]:
    history: Sequence[Made] = state.histories[SCRIPT_ACTOR]
    return [
        (said.step, said.out)
        for made in history[-1:]
        for said in made.answers
        if said.out and history[said.step].call.output == "pipe"
    ]
