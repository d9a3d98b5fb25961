"""What an exploration is asked for."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """`budget` in seconds; `preemptions` bounds them; `reduced` leaves out equal orders.

    Seconds end nothing before `least` steps were executed in a family: on a slow host they
    would end every exploration before it can say anything. `first` ends all at the first harm.
    """

    budget: float | None = None
    preemptions: int | None = None
    reduced: bool = True
    least: int = 0
    first: bool = False
