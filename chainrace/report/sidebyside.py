"""One schedule as a table of text: who made which step, actor beside actor."""

from collections.abc import Iterator

from chainrace.judge.replayed import Replayed
from chainrace.model.actors import ACTORS, KUBELET, SCRIPT, SCRIPT_ACTOR, SUBJECT, owner
from chainrace.model.trial import Call

WIDTH = 60  # of the subject's column; its longest step of note fits


def side_by_side(replayed: Replayed) -> Iterator[str]:
    """Every step of a replay, a line each, with the exit codes that are not 0."""
    counts = dict.fromkeys(ACTORS, 0)
    left, right = replayed.sides
    yield f"step  {left:<{WIDTH}}  {right}"
    for one in replayed.view["commands"]:
        call = Call.of(one)
        actor = one["lane"]
        counts[actor] += 1
        text = _short(call) + ("" if one["code"] in (0, None) else f"  → {one['code']}")
        before = (WIDTH + 2) * " " if owner(actor) == SCRIPT_ACTOR else ""
        yield f"{actor}{counts[actor]:<4} {before}{text}"


def _short(call: Call) -> str:
    """A command without what says nothing: the wait for a lock, a rule's long matches."""
    words = [call.program, *call.arguments]
    if "-w" in words:
        at = words.index("-w")
        del words[at : at + 2]
    if call.actor not in (KUBELET, SUBJECT, SCRIPT):
        words.insert(0, f"[{call.actor}]")  # a unit that the script started
    text = " ".join(words)
    longest = WIDTH - len("  → 1")
    return text if len(text) <= longest else text[: longest - 1] + "…"
