"""Whether the two families may be explored apart: only where no step joins them."""

from collections.abc import Iterator, Sequence
from itertools import takewhile

from chainrace.model.actors import SCRIPT_ACTOR
from chainrace.model.rules import FAMILIES
from chainrace.model.trial import Call
from chainrace.search.knowledge import Knowledge
from chainrace.search.state import Made
from chainrace.search.step import EVERYTHING, LIVES, touches


def joined(apart: Sequence[Knowledge]) -> str:
    """Why the families must be explored together; empty where they need not be.

    `apart` is what was learned with each family by itself. In each of these only one family
    is changed by kubelet. So whatever of the script's doing in the other family is not always
    the same there, has come over from the one: by a file, by a pipe, or because it was decided
    by it. And what it does may hang on both together only where it was told something of both.
    """
    for known in apart:
        for made in _steps(known):
            prints = known.footprints.of(made.call)
            if prints == EVERYTHING or prints.reads & LIVES:
                return f"{made.call} may look at kubelet itself"
    both = all(
        any(
            touches(known.footprints.of(made.call), family)
            for known in apart
            for made in _steps(known)
        )
        for family in FAMILIES
    )
    if not both:
        return ""
    for known in apart:
        (family,) = known.families
        if why := _comes_over(known, family) or _flows_over(known):
            return why
    if all(_is_told(known) for known in apart):
        return "the script is told something of both"
    return ""


def _comes_over(known: Knowledge, family: str) -> str:
    """What of one family was seen to decide what the script does in the other."""
    (other,) = (one for one in FAMILIES if one != family)
    calls: dict[int, str] = {}
    for history in _histories(known):
        for at, made in enumerate(history):
            if calls.setdefault(at, str(made.call)) != str(made.call):
                return f"the script does other things depending on {family}"
    left: dict[int, object] = {}
    for state in known.states.values():
        at = len(state.histories[SCRIPT_ACTOR])
        rules = sorted(one for one in state.rules.items() if one[0].startswith(other))
        if left.setdefault(at, rules) != rules:
            return f"what it leaves in {other} depends on {family}"
    return ""


def _histories(known: Knowledge) -> Iterator[Sequence[Made]]:
    """All that the script was seen to do: on the way to each state, and in runs to its end."""
    yield from known.runs
    yield from (state.histories[SCRIPT_ACTOR] for state in known.states.values())


def _steps(known: Knowledge) -> Iterator[Made]:
    yield from (made for history in known.runs for made in history)
    yield from (
        made for state in known.states.values() for made in state.histories[SCRIPT_ACTOR][-1:]
    )


def _flows_over(known: Knowledge) -> str:
    """What loads into one family what may come of the other: by a file, or by a pipe.

    Seen by the commands alone: an exploration of one family may end before it is loaded.
    """
    seen: set[Call] = set()
    for history in _histories(known):
        for at, made in enumerate(history):
            if made.call in seen:
                continue
            seen.add(made.call)
            for family in FAMILIES:
                other = next(one for one in FAMILIES if one != family)
                if _loads(known, made, family) and not _is_clean(known, history[:at], made, other):
                    return f"{made.call} may load into {family} what comes of {other}"
    return ""


def _loads(known: Knowledge, made: Made, family: str) -> bool:
    """Whether a step writes rules of a family from something that it reads."""
    prints = known.footprints.of(made.call)
    writes = any(name.startswith(f"{family}/") for name in prints.writes)
    return writes and ("files" in prints.reads or bool(made.call.input))


def _is_clean(known: Knowledge, before: Sequence[Made], last: Made, other: str) -> bool:
    """Whether nothing that a step loads can have come of the other family."""
    if last.call.input == "file":
        # Of its file's writers none has looked at the other; nobody else writes files.
        return all(
            not _sees(known, made, other)
            if made.call.target == last.call.source
            else "files" not in known.footprints.of(made.call).writes
            for made in before
        )
    if last.call.input == "pipe":
        pipeline = takewhile(lambda made: made.call.output == "step", reversed(before))
        return {made.lane for made in before} <= {SCRIPT_ACTOR} and not any(
            _sees(known, made, other) for made in pipeline
        )
    # It names its files itself: which, is not known here.
    return not any(made.call.output in ("file", "pipe") or made.wrote for made in before)


def _sees(known: Knowledge, made: Made, family: str) -> bool:
    """Whether what a step writes may come of a family's rules, or of files that do."""
    reads = known.footprints.of(made.call).reads
    return any(name.startswith(f"{family}/") for name in reads) or made.call.input == "file"


def _is_told(known: Knowledge) -> bool:
    """Whether the script's shell is told what differs from order to order.

    By a code, by a pipe, or by files that it reads itself, wherever it does so.
    """
    files = any(made.read for history in _histories(known) for made in history)
    told: dict[int, object] = {}
    for history in _histories(known):
        for at, said in _told(history, files=files):
            if told.setdefault(at, said) != said:
                return True
    return False


def _told(history: Sequence[Made], *, files: bool) -> list[tuple[int, object]]:
    heard = ("pipe", "file") if files else ("pipe",)
    codes: list[tuple[int, object]] = [
        (said.step, (said.code, said.out if history[said.step].call.output in heard else ""))
        for made in history
        for said in made.answers
    ]
    written: list[tuple[int, object]] = [
        (-1 - at, made.wrote) for at, made in enumerate(history) if files
    ]
    return codes + written
