"""The outcome map: what comes of it when the script is stopped once, while kubelet goes on.

Every cell is one schedule, `k2 s1 k5 s* k*`: kubelet's first steps, then the script's, then
more of kubelet's, then the rest of both. Nothing is executed for it: it is read from what the
exploration knows. No I/O.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

from chainrace.judge.outcome import FamilyOutcome
from chainrace.model.actors import SCRIPT_ACTOR
from chainrace.model.schedule import from_steps
from chainrace.model.trial import Ending
from chainrace.search.explorer import Path
from chainrace.search.knowledge import Knowledge
from chainrace.search.state import State
from chainrace.search.step import Footprint


@dataclass(frozen=True)
class Cell:
    """One schedule and what it leads to.

    `before` are kubelet's steps when the script begins, `script` those that it makes then,
    `until` kubelet's, all of them counted, when it goes on.
    """

    before: int
    script: int
    until: int
    schedule: str
    modes: tuple[str, ...]


@dataclass(frozen=True)
class OutcomeMap:
    """Both actors' commands when nothing disturbs them, and a cell for each stop of the script.

    Only stops before a step that can matter to kubelet have cells, and the script's end:
    between two of them nothing else comes out.
    """

    kubelet: tuple[str, ...]
    script: tuple[str, ...]
    cells: tuple[Cell, ...]


def draw(
    known: Knowledge,
    root: State,
    kubelet: str,
    judge: Callable[[Ending], FamilyOutcome],
    only: tuple[str, ...] | None,
) -> OutcomeMap:
    """The map of one family, whose lane of kubelet's is `kubelet`.

    `only` are the modes of every end there is, where all ends are known and alike: then each
    schedule leads to them, also one that the exploration left out as equal to another. Other
    cells that it cannot tell are left out.
    """
    kubelets, scripts = known.sequences.get(kubelet, ()), known.sequences.get(SCRIPT_ACTOR, ())
    all_of_kubelets = reduce(Footprint.__or__, map(known.footprints.of, kubelets), Footprint())
    # Right before each step that can matter: between two of them nothing else comes out.
    matter = [
        at
        for at, call in enumerate(scripts)
        if known.footprints.of(call).conflicts(all_of_kubelets)
    ]
    stops = sorted({at for at in matter if at} | {len(scripts)})
    walk = _Walk(known, kubelet)

    def as_all(before: int, stop: int, until: int) -> Cell | None:
        if only is None:
            return None
        turns = (before, stop, until - before, len(scripts) - stop, len(kubelets) - until)
        return Cell(before, stop, until, str(from_steps(_path(kubelet, turns))), only)

    cells = (
        cell
        for stop in stops
        for before in range(len(root.histories[kubelet]), len(kubelets) + 1)
        for until in range(before, len(kubelets) + 1)
        if (cell := walk.cell(root, before, stop, until, judge) or as_all(before, stop, until))
    )
    return OutcomeMap(tuple(map(str, kubelets)), tuple(map(str, scripts)), tuple(cells))


def _path(kubelet: str, turns: tuple[int, ...]) -> Path:
    """The single steps of turns that kubelet and the script take one after the other."""
    actors = itertools.cycle((kubelet, SCRIPT_ACTOR))
    return tuple(actor for steps in turns for actor in (next(actors),) * steps)


class _Walk:
    """Goes on in what is known; a step that was made once here is not looked up again."""

    def __init__(self, known: Knowledge, kubelet: str) -> None:
        self._known = known
        self._kubelet = kubelet
        self._next: dict[tuple[str, str], State | None] = {}
        self._ends: dict[str, bool] = {}

    def cell(
        self,
        root: State,
        before: int,
        script: int,
        until: int,
        judge: Callable[[Ending], FamilyOutcome],
    ) -> Cell | None:
        """One cell; None where kubelet has not so many steps, or what comes is not known."""
        kubelet = self._kubelet
        state = root
        done = len(root.histories[kubelet])
        path: Path = (kubelet,) * done
        asked = ((kubelet, before - done), (SCRIPT_ACTOR, script), (kubelet, until - before))
        rest = [(lane, None) for lane in self._known.subjects if lane != kubelet]
        for actor, steps in (*asked, (SCRIPT_ACTOR, None), (kubelet, None), *rest):
            found = self._go(state, actor, steps)
            if found is None:
                return None
            made, state = found
            path = (*path, *(actor,) * made)
        ending = self._known.endings.get(self._known.left_by(state))
        if ending is None:
            return None
        schedule = str(from_steps(path))
        return Cell(before, script, until, schedule, judge(ending).modes)

    def _go(self, state: State, actor: str, steps: int | None) -> tuple[int, State] | None:
        """So many steps of an actor, or all that can still matter; the state then."""
        made = 0
        while made != steps and actor in state.waiting and not (steps is None and self._end(state)):
            name = (state.key, actor)
            if name not in self._next:
                self._next[name] = self._known.infer(state, actor)
            following = self._next[name]
            if following is None:
                return None
            state, made = following, made + 1
        return None if steps is not None and made < steps else (made, state)

    def _end(self, state: State) -> bool:
        if state.key not in self._ends:
            self._ends[state.key] = self._known.is_end(state)
        return self._ends[state.key]
