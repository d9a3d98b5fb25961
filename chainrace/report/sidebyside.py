"""A forced trial as a table of text: who made which step when, actor beside actor."""

from collections.abc import Iterator, Mapping
from typing import Any

from chainrace.race.state import ACTORS, actor_of
from chainrace.race.trial import Call

WIDTH = 62


def side_by_side(view: Mapping[str, Any]) -> Iterator[str]:
    """Every step of a view, a line each, with the exit codes that are not 0."""
    steps = []
    for one in view["commands"]:
        call = Call(one["actor"], one["program"], tuple(one["arguments"]))
        steps.append((actor_of(call), call, one["code"]))
    columns = [actor for actor in ACTORS if any(step[0] == actor for step in steps)]
    counts = dict.fromkeys(columns, 0)
    yield "step  " + "  ".join(f"{ACTORS[actor]:<{WIDTH}}" for actor in columns).rstrip()
    for actor, call, code in steps:
        counts[actor] += 1
        text = _short(call) + ("" if code == 0 else f"  → {code}")
        before = columns.index(actor) * (WIDTH + 2) * " "
        yield f"{actor}{counts[actor]:<4} {before}{text}"


def _short(call: Call) -> str:
    """A command without what says nothing: the wait for a lock, a rule's long matches."""
    words = [call.program, *call.arguments]
    if "-w" in words:
        at = words.index("-w")
        del words[at : at + 2]
    if call.actor.startswith("service"):
        words.insert(0, f"[{call.actor.removeprefix('service ')}]")
    text = " ".join(words)
    return text if len(text) <= WIDTH else text[: WIDTH - 1] + "…"
