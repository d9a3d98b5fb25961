"""What is known of one script and kubelet's work on one family: steps, states, ends. No I/O."""

from chainrace.gate.process import KUBELETS, SCRIPT_ACTOR
from chainrace.race.effects import Effects
from chainrace.race.explorer import Observation, Path
from chainrace.race.plan import Plan, as_step
from chainrace.race.state import ACTOR_OF, State
from chainrace.race.step import footprint, touches
from chainrace.race.trace import Step, Trace
from chainrace.race.trial import Ending


class Knowledge:
    """Grows by what is walked on a node; says what need not be.

    `kubelet` is kubelet's actor for the family, `other` the one for the other family;
    `states` are by key, `endings` by what an end leaves.
    """

    def __init__(self, family: str, *, reduced: bool, restarts: bool = False) -> None:
        """Unless `reduced`, nothing is inferred. With `restarts` the script restarts kubelet."""
        self.family = family
        self.kubelet = ACTOR_OF[family]
        (self.other,) = set(KUBELETS) - {self.kubelet}
        self.actors = (self.kubelet, SCRIPT_ACTOR)
        self.plan = Plan()
        self.effects = Effects(self.other)
        self.states: dict[str, State] = {}
        self.endings: dict[str, Ending] = {}
        self._reduced = reduced
        self._restarts = restarts

    def remember(self, state: State) -> None:
        """Take in a state that was reached."""
        self.states.setdefault(state.key, state)

    def observe(self, state: State) -> Observation:
        """The state as the explorer needs it."""
        futures = {actor: self.plan.future(actor, state) for actor in self.actors}
        if self._restarts and not state.ended[SCRIPT_ACTOR]:
            # Another kubelet may come, and do it all again.
            futures[self.kubelet] |= self.plan.whole(self.kubelet)
        over = state.ended[self.kubelet] and not touches(futures[SCRIPT_ACTOR], self.family)
        if over and not self._restarts:
            # Nothing that is left can touch the family: it is as it will stay.
            return Observation(state.key, {}, futures, {})
        enabled = {
            actor: footprint(call)
            for actor in self.actors
            if (call := state.waiting[actor]) is not None
        }
        runs = {}
        for actor in enabled:
            (other,) = (one for one in self.actors if one != actor)
            run = self.plan.run(actor, state, futures[other])
            # Not beyond the last step that touches the family at all.
            length = max(
                (at for at, one in enumerate(run, 1) if touches(one.touches, self.family)),
                default=len(run),
            )
            runs[actor] = run[:length]
        return Observation(state.key, enabled, futures, runs)

    def infer(self, state: State, actor: str) -> State | None:
        """Where an actor's next step leads to; None where only a walk can tell."""
        return self.effects.infer(state, actor) if self._reduced else None

    def inferred(self, origin: str, actor: str, steps: int) -> tuple[int, State] | None:
        """How many of so many steps would be made, and the state then; None as in `infer`."""
        state, made = self.states[origin], 0
        while made < steps and state.waiting[actor]:
            following = self.infer(state, actor)
            if following is None:
                return None
            state, made = following, made + 1
        return made, state

    def made(self, actor: str, steps: int, target: State) -> list[Step]:
        """An actor's last steps on its way to a state."""
        history = target.histories[actor]
        return [as_step(one.call) for one in history[len(history) - steps :]]

    def is_end(self, state: State) -> bool:
        """Whether all is decided in a state."""
        return not self.observe(state).enabled

    def left_by(self, end: State) -> str:
        """What an end leaves: the rules, and kubelet's commands with their exit codes.

        Both together say all that an outcome is judged by: what kubelet logs follows from
        the exit codes that it got.
        """
        return end.left(self.kubelet, self.family)

    def ending(self, key: str) -> Ending:
        """What was found in an end state, or in another that leaves the same."""
        return self.endings[self.left_by(self.states[key])]

    def trace(self, path: Path, end: State) -> Trace:
        """The trace of a path that leads to a state."""
        left = {actor: iter(made) for actor, made in end.histories.items()}
        trace = Trace()
        for actor in path:
            trace = trace.after(actor, [as_step(next(left[actor]).call)])
        return trace
