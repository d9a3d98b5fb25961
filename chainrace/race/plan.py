"""What is known of the steps that each actor may still make.

Learned from runs: an actor's commands from its first to its last. What an actor does
differently after other answers is learned when it is first seen; until then it is
taken to touch everything.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce

from chainrace.race.state import State
from chainrace.race.step import EVERYTHING, Footprint, footprint
from chainrace.race.trial import Call


def _rest(sequence: tuple[Call, ...], done: tuple[Call, ...]) -> tuple[Call, ...] | None:
    """What of a sequence may follow what was done; None where it does not fit.

    Steps may have been left out (kubelet adds no rule that it finds), none added.
    """
    at = 0
    for call in done:
        while at < len(sequence) and sequence[at] != call:
            at += 1
        if at == len(sequence):
            return None
        at += 1
    return sequence[at:]


@dataclass
class Plan:
    """Sequences of commands by actor."""

    sequences: dict[str, list[tuple[Call, ...]]] = field(default_factory=dict)

    def learn(self, actor: str, calls: Iterable[Call]) -> None:
        """Take in one whole run of an actor."""
        known = self.sequences.setdefault(actor, [])
        sequence = tuple(calls)
        if sequence not in known:
            known.append(sequence)

    def future(self, actor: str, state: State) -> Footprint:
        """All that an actor may still touch from a state on, its next step included."""
        if state.ended[actor]:
            return Footprint()
        rests = self._rests(actor, state)
        waiting = state.waiting[actor]
        if not rests:
            return EVERYTHING
        steps = [footprint(call) for rest in rests for call in rest]
        if waiting is not None:
            steps.append(footprint(waiting))
        return reduce(Footprint.__or__, steps, Footprint())

    def knows(self, actor: str, state: State) -> bool:
        """Whether an actor's history with its next step fits to what was learned."""
        done = [made.call for made in state.histories[actor]]
        if (waiting := state.waiting[actor]) is not None:
            done.append(waiting)
        return any(_rest(one, tuple(done)) is not None for one in self.sequences.get(actor, []))

    def run(self, actor: str, state: State, others: Footprint) -> tuple[Footprint, ...]:
        """What an actor that waits may do at once.

        Its next step where that can matter to what the others may still do; else all in
        a row that cannot.
        """
        waiting = state.waiting[actor]
        steps = [EVERYTHING if waiting is None else footprint(waiting)]
        if steps[0].conflicts(others):
            return tuple(steps)
        done = tuple(made.call for made in state.histories[actor])
        for sequence in self.sequences.get(actor, []):
            if sequence[: len(done)] == done:
                for call in sequence[len(done) + 1 :]:
                    if footprint(call).conflicts(others):
                        break
                    steps.append(footprint(call))
                break
        return tuple(steps)

    def _rests(self, actor: str, state: State) -> list[tuple[Call, ...]]:
        done = tuple(made.call for made in state.histories[actor])
        rests = (_rest(one, done) for one in self.sequences.get(actor, []))
        return [rest for rest in rests if rest is not None]


def futures(plan: Plan, state: State, actors: Iterable[str]) -> Mapping[str, Footprint]:
    """What each actor may still touch."""
    return {actor: plan.future(actor, state) for actor in actors}
