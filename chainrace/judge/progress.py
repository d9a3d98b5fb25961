"""How far an exploration is."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """How far an exploration is. Seconds; `left` of the budget; `harm` that was seen so far.

    Of the `transitions` the node `executed` some, which take the time; the rest was inferred.
    """

    family: str
    states: int
    open: int
    transitions: int
    elapsed: float
    left: float | None
    harm: tuple[str, ...] = ()
    executed: int = 0
