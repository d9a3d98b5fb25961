"""What is known of the steps that each actor may still make.

Learned from runs: an actor's commands from its first to its last. What an actor does
differently after other answers is learned when it is first seen; until then it is
taken to touch everything.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import reduce
from itertools import takewhile

from chainrace.race.state import State
from chainrace.race.step import EVERYTHING, Footprint, footprint
from chainrace.race.trace import Step
from chainrace.race.trial import Call


def as_step(call: Call) -> Step:
    """A command as far as its order among others is concerned."""
    return Step(str(call), footprint(call))


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

    def whole(self, actor: str) -> Footprint:
        """All that an actor touches from its first step to its last, in any run known."""
        steps = [footprint(call) for one in self.sequences.get(actor, []) for call in one]
        return reduce(Footprint.__or__, steps, Footprint())

    def knows(self, actor: str, state: State) -> bool:
        """Whether an actor's history with its next step fits to what was learned."""
        done = [made.call for made in state.histories[actor]]
        if (waiting := state.waiting[actor]) is not None:
            done.append(waiting)
        return any(_rest(one, tuple(done)) is not None for one in self.sequences.get(actor, []))

    def run(self, actor: str, state: State, others: Footprint) -> tuple[Step, ...]:
        """What an actor that waits may do at once.

        Its next step where that can matter to what the others may still do; else all in
        a row that cannot.
        """
        waiting = state.waiting[actor]
        if waiting is None:
            return ()
        steps = [as_step(waiting)]
        if steps[0].touches.conflicts(others):
            return tuple(steps)
        done = tuple(made.call for made in state.histories[actor])
        for sequence in self.sequences.get(actor, []):
            if sequence[: len(done)] == done:
                following = (as_step(call) for call in sequence[len(done) + 1 :])
                steps += takewhile(lambda step: not step.touches.conflicts(others), following)
                break
        return tuple(steps)

    def _rests(self, actor: str, state: State) -> list[tuple[Call, ...]]:
        done = tuple(made.call for made in state.histories[actor])
        rests = (_rest(one, done) for one in self.sequences.get(actor, []))
        return [rest for rest in rests if rest is not None]
