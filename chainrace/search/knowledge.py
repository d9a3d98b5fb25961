"""What is known of one script and of kubelet's lanes: steps, states, ends. No I/O."""

from collections.abc import Mapping, Sequence

from chainrace.model.actors import ACTOR_OF, KUBELETS, LANES, SCRIPT_ACTOR, SUBJECT_ACTOR, owner
from chainrace.model.trial import Call, Ending
from chainrace.search.effects import Effects
from chainrace.search.explorer import Observation, Path
from chainrace.search.footprints import Footprints
from chainrace.search.futures import Futures
from chainrace.search.state import GOES_ON, Local, Made, State
from chainrace.search.step import EVERYTHING, LIVES, Footprint, touches
from chainrace.search.trace import Step, Trace


class Knowledge:
    """Grows by what is executed on a node; says what need not be.

    `families` are explored, `lanes` those that step for them. Without `kubelet` the subject is
    another program, whose lanes work on both families. Ends are judged by what the subject made,
    with `judges_other` by what the script's actor made.
    `states` are by key, `endings` by what an end leaves.
    """

    def __init__(
        self,
        families: Sequence[str],
        *,
        reduced: bool,
        kubelet: bool = True,
        words: tuple[str, ...] = (),
        judges_other: bool = False,
    ) -> None:
        """Unless `reduced`, nothing is inferred and no order left out. `words` mean the subject."""
        self.families = tuple(families)
        self.kubelets = tuple(ACTOR_OF[family] for family in families) if kubelet else ()
        self.subjects = self.kubelets or (SUBJECT_ACTOR,)
        self.judged = (SCRIPT_ACTOR,) if judges_other else self.subjects
        self.footprints = Footprints(words=words)
        self.futures = Futures(self.footprints)
        self.effects = Effects(self.footprints)
        self.states: dict[str, State] = {}
        self.endings: dict[str, Ending] = {}
        self.sequences: dict[str, tuple[Call, ...]] = {}
        self.runs: list[tuple[Made, ...]] = []  # of the script, each to its end
        self.restarts = False  # the script starts kubelet again
        self._reduced = reduced

    @property
    def lanes(self) -> tuple[str, ...]:
        """All lanes that may step here."""
        return (*self.kubelets, *(lane for lanes in LANES.values() for lane in lanes))

    def remember(self, state: State) -> None:
        """Take in a state that was reached."""
        self.states.setdefault(state.key, state)

    def learn_run(self, steps: Sequence[tuple[str, Local, Local]]) -> None:
        """Take in a run of steps, each with the places of its actor before and after."""
        for lane, before, after in steps:
            self.futures.learn(lane, before, after)
        self.runs += [
            after.histories[SCRIPT_ACTOR] for lane, _, after in steps if owner(lane) == SCRIPT_ACTOR
        ][-1:]

    def as_step(self, call: Call) -> Step:
        """A command as far as its order among others is concerned."""
        return Step(str(call), self.footprints.of(call))

    def observe(self, state: State) -> Observation:
        """The state as the explorer needs it."""
        waiting = {lane: state.waiting[lane] for lane in self.lanes if lane in state.waiting}
        enabled = {lane: self.footprints.of(call) for lane, call in waiting.items()}
        if not self._reduced:
            return Observation(state.key, enabled, dict.fromkeys(enabled, EVERYTHING))
        futures = self._futures(state)
        if self._over(state, futures):
            # Nothing that is left can touch what is explored: it is as it will stay.
            return Observation(state.key, {}, futures)
        return Observation(state.key, enabled, futures)

    def _futures(self, state: State) -> dict[str, Footprint]:
        found = {lane: self.futures.future(lane, state) for lane in self.kubelets}
        for name, lanes in LANES.items():
            if name not in state.ended:
                continue  # it takes no part
            future = self.futures.future(name, state)
            found |= {lane: future for lane in lanes if lane in state.waiting or lane == name}
        if self.restarts and not state.ended[SCRIPT_ACTOR]:
            # The subject may be started again, and do it all again.
            found |= {lane: EVERYTHING for lane in found if owner(lane) != SCRIPT_ACTOR}
        return found

    def _over(self, state: State, futures: Mapping[str, Footprint]) -> bool:
        if self.restarts or not all(state.ended[lane] for lane in (*self.subjects, *self.judged)):
            return False
        script = futures.get(SCRIPT_ACTOR, Footprint())
        others = {"nft", "sets", "units"} & (script.writes) or LIVES & script.reads
        return not others and not any(touches(script, family) for family in self.families)

    def infer(self, state: State, lane: str) -> State | None:
        """Where a lane's next step leads to; None where only the node can tell."""
        return self.effects.infer(state, lane) if self._reduced else None

    def is_end(self, state: State) -> bool:
        """Whether all is decided in a state."""
        return not self.observe(state).enabled

    def left_by(self, end: State) -> str:
        """What an end leaves: the rules, and the judged actor's commands with their exit codes.

        Both together say all that an outcome is judged by: what kubelet logs follows from
        the exit codes that it got.
        """
        return end.left(self.families, self.judged)

    def ending(self, key: str) -> Ending:
        """What was found in an end state, or in another that leaves the same."""
        return self.endings[self.left_by(self.states[key])]

    def trace(self, path: Path, end: State) -> Trace:
        """The trace of a path that leads to a state."""
        left = {name: iter(made) for name, made in end.histories.items()}
        trace = Trace()
        for lane in path:
            made = next(one for one in left[owner(lane)] if one.call.program != GOES_ON)
            trace = trace.after(lane, [self.as_step(made.call)])
        return trace

    def calls(self, state: State) -> tuple[Call, ...]:
        """The script's commands on the way to a state."""
        return tuple(made.call for made in state.histories[SCRIPT_ACTOR])


def other_lanes(lanes: Sequence[str]) -> tuple[str, ...]:
    """Kubelet's lanes that are not among those."""
    return tuple(lane for lane in KUBELETS if lane not in lanes)
