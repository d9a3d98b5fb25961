"""A path up to the order of steps that cannot influence each other (a Mazurkiewicz trace).

Two paths with the same trace lead to the same state: what was found on the one need
not be walked on the other.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from chainrace.search.step import Footprint


@dataclass(frozen=True)
class Step:
    """One step as far as an order is concerned: which it is, and what it touches."""

    name: str
    touches: Footprint


Needs = Mapping[str, int]  # how many steps of each other actor must come before a step


@dataclass(frozen=True)
class Trace:
    """Each actor's steps, and for each step which of the others' it must follow."""

    steps: Mapping[str, tuple[Step, ...]] = field(default_factory=dict)
    needs: Mapping[str, tuple[Needs, ...]] = field(default_factory=dict)

    def after(self, actor: str, steps: Iterable[Step]) -> "Trace":
        """This trace and then some steps of one actor."""
        added = tuple(steps)
        others = {one: made for one, made in self.steps.items() if one != actor}
        needs = tuple(
            {other: _last_conflict(step.touches, made) for other, made in others.items()}
            for step in added
        )
        return Trace(
            {**self.steps, actor: self.steps.get(actor, ()) + added},
            {**self.needs, actor: self.needs.get(actor, ()) + needs},
        )

    @property
    def key(self) -> object:
        """Its identity: equal for all paths that are the same but for steps that commute."""
        return tuple(
            (
                actor,
                tuple(
                    (step.name, tuple(sorted((one, n) for one, n in needs.items() if n)))
                    for step, needs in zip(steps, self.needs[actor], strict=True)
                ),
            )
            for actor, steps in sorted(self.steps.items())
        )


def _last_conflict(touches: Footprint, earlier: tuple[Step, ...]) -> int:
    for at in range(len(earlier), 0, -1):
        if touches.conflicts(earlier[at - 1].touches):
            return at
    return 0
