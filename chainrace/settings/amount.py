"""How much is asked of a run's randomized trials."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Amount:
    """How long to sample: pairs of trials, or seconds for all of a run, or both.

    At least one of them must be given. Seconds end nothing before `least` pairs are made:
    on a slow host they would end every run before it can say anything.
    """

    pairs: int | None = None
    budget: float | None = None
    least: int = 0
