"""What an exploration has found so far, as graphs of states with their ends. No I/O."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from chainrace.base.errors import LabError
from chainrace.explore.views import Reference, calls_of
from chainrace.explore.walker import Walker
from chainrace.judge import outcomemap
from chainrace.judge.explored import MOST_EDGES, Edge, EndState, Graph
from chainrace.judge.outcome import FamilyOutcome
from chainrace.model.actors import ACTOR_OF, KUBELETS, SCRIPT_ACTOR
from chainrace.model.mode import HEALTHY
from chainrace.search.explorer import Explorer
from chainrace.search.knowledge import Knowledge
from chainrace.search.shortest import short_paths, shortest
from chainrace.search.state import State
from chainrace.subjects.kubelet.coverage import unseen


@dataclass
class Drawing:
    """`executed` tasks of the explorer's were made on the `walkers`' nodes.

    `ordered`: systemd orders the two starts.
    """

    known: Knowledge
    explorer: Explorer
    root: State
    reference: Reference
    walkers: Sequence[Walker]
    executed: int
    ordered: bool
    _doubts: list[str] = field(default_factory=list)

    def graphs(self) -> tuple[tuple[Graph, ...], list[str]]:
        """A graph a family, and doubts. What families share is counted in the first.

        Raises LabError where nothing steps any more and kubelet has not done.
        """
        explorer = self.explorer
        paths = short_paths(explorer)
        # A schedule counts from kubelet's first step, also of a root further on.
        before = tuple(
            lane for lane in KUBELETS if lane not in self.known.subjects for _ in self._lead(lane)
        )
        schedules = {}
        for key in explorer.ends:
            state = self.known.states[key]
            for lane in self.known.subjects:
                if not state.ended[lane]:
                    raise LabError(
                        f"nothing steps any more, but {lane} of the subject has not done",
                        "look at the gate's log: ./lab ssh, journalctl -u chainrace-gate",
                    )
            if self.known.left_by(state) in self.known.endings:
                path = (*before, *paths[key])
                schedules[key] = shortest(path, self.known.trace(path, state))
        graphs = tuple(
            self._graph(family, schedules, counted=number == 0)
            for number, family in enumerate(self.known.families)
        )
        return graphs, list(dict.fromkeys(self._doubts))

    def _lane_of(self, family: str) -> str:
        """The subject's lane that works on a family."""
        lane = ACTOR_OF[family]
        return lane if lane in self.known.kubelets else self.known.subjects[0]

    def _lead(self, lane: str) -> Sequence[object]:
        """The steps of a lane before the root, where they are all that it makes."""
        return self.root.histories[lane] if self.root.ended[lane] else ()

    def _graph(self, family: str, schedules: dict[str, Any], *, counted: bool) -> Graph:
        explorer = self.explorer
        ends = []
        for key, schedule in schedules.items():
            judged = self.reference.judge(self.known.ending(key), family)
            self._refuse_unseen(key, judged, self._lane_of(family))
            ends.append(EndState(key, schedule, judged))
        alike = {end.outcome.modes for end in ends}
        complete = not explorer.open and explorer.preemptions is None
        costs = [walker.costs for walker in self.walkers]
        lengths = [
            len(self.known.sequences[lane]) for lane in (self._lane_of(family), SCRIPT_ACTOR)
        ]
        return Graph(
            family=family,
            states=explorer.states if counted else 0,
            transitions=explorer.transitions if counted else 0,
            merges=explorer.merges if counted else 0,
            executed=self.executed if counted else 0,
            open=explorer.open,
            interleavings=explorer.interleavings(),
            orders=1 if self.ordered else math.comb(sum(lengths), lengths[0]),
            preemptions=explorer.preemptions,
            differing=sum(walker.differing for walker in self.walkers) if counted else 0,
            counts=_summed(cost.counts for cost in costs),
            seconds=_summed(cost.seconds for cost in costs),
            ends=tuple(ends),
            map=outcomemap.draw(
                self.known,
                self.root,
                self._lane_of(family),
                lambda left: self.reference.judge(left, family),
                only=alike.pop() if complete and len(alike) == 1 else None,
            ),
            edges=self._edges(),
        )

    def _edges(self) -> tuple[Edge, ...]:
        """All steps between states, in the order in which these were found."""
        if self.explorer.transitions > MOST_EDGES:
            return ()
        return tuple(
            Edge(key, lane, str(self.known.states[key].waiting[lane]), target)
            for key, steps in self.explorer.edges.items()
            for lane, target in steps.items()
        )

    def _refuse_unseen(self, key: str, judged: FamilyOutcome, lane: str) -> None:
        """Doubt a healthy end to which kubelet came by fewer steps than it takes."""
        if judged.outcome != HEALTHY:
            return
        if lane not in self.known.judged:
            return  # what it made says nothing of the one that is healthy
        made = (one.call for one in self.known.states[key].histories[lane])
        if missed := unseen(calls_of(self.reference.view, lane), made):
            self._doubts.append(
                f"kubelet was not seen to run {', '.join(missed)}, and yet is healthy"
            )


def _summed(parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    total: dict[str, Any] = {}
    for part in parts:
        for name, value in part.items():
            total[name] = total.get(name, 0) + value
    return total
