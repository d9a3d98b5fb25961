"""In which order an exploration executes what is open: what most harm needs comes first.

Nothing of what is found depends on it, only when it is found. Orders with one preemption at most
are executed to their ends, those preempted in the middle before those preempted close to an end.
"""

from collections.abc import Sequence
from itertools import groupby

from chainrace.model.actors import SCRIPT_ACTOR, owner
from chainrace.search.explorer import Path

# Of kubelet's steps and the script's in turn: one preemption at most.
LIKELY_RUNS = 3


def rank(lanes: Path, as_alone: Sequence[str]) -> tuple[int, int, int]:
    """How late an order of lanes is executed; the smaller, the sooner.

    `as_alone` are the subject's lanes in its own order, where nobody comes between.
    """
    ours = tuple(lane for lane in lanes if lane in as_alone)
    runs = [len(list(run)) for _, run in groupby(lanes, lambda lane: owner(lane) != SCRIPT_ACTOR)]
    if len(runs) > LIKELY_RUNS or tuple(as_alone[: len(ours)]) != ours:
        return 1, 0, 0
    return 0, spread(runs[0]), -len(lanes)


def spread(number: int) -> int:
    """Where a number comes when 1, 2, 3, ... are taken far apart: 512, 256, 768, 128, ...

    Its ten bits in reverse order (van der Corput's sequence).
    """
    return int(f"{number % 1024:010b}"[::-1], 2)
