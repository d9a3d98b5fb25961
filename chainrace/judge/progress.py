"""How far an exploration is."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """How far an exploration is. Seconds; `left` of the budget; `harm` that was seen so far."""

    family: str
    states: int
    open: int
    transitions: int
    elapsed: float
    left: float | None
    harm: tuple[str, ...] = ()
