"""Outcome maps of a graph as grids that page and picture draw."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chainrace.judge.outcome import MODES, worst
from chainrace.model.mode import HEALTHY, Mode
from chainrace.report.verdict import cost_of

# Of a grid that is drawn: a page or a picture has room for no more.
MOST_SIDE = 128
# Of all grids of a page together: kubelet's steps with a script of two hundred stops.
MOST_PLACES = 200_000


@dataclass(frozen=True)
class Square:
    """One cell: where it stands, what it leads to, and how to say that."""

    before: int
    until: int
    schedule: str
    modes: tuple[str, ...]

    @property
    def worst(self) -> str:
        return worst(self.modes)

    @property
    def harmed(self) -> bool:
        return self.modes != (HEALTHY,)

    @property
    def cost(self) -> tuple[int, ...]:
        """What makes its schedule longer, and then where it stands."""
        return *cost_of(self.schedule), self.before, self.until

    @property
    def letters(self) -> str:
        return "".join(MODES[name].letter for name in self.modes)


@dataclass(frozen=True)
class Grid:
    """The cells of one place where the script is stopped, after `stop` of its steps.

    `rows` are kubelet's steps before the script begins, `columns` those until it goes on;
    a place without a cell is None.
    """

    script: str
    family: str
    stop: int
    last: str  # the script's command before the stop, empty where it has none
    kubelet: tuple[str, ...]
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    squares: Mapping[tuple[int, int], Square]

    @property
    def where(self) -> str:
        """`after its step 2 (iptables-save)`."""
        if not self.stop:
            return "before its first step"
        return f"after its step {self.stop} ({self.last})"

    @property
    def places(self) -> int:
        """How many places it has, with those without a cell."""
        return len(self.rows) * len(self.columns)

    @property
    def differing(self) -> int:
        """How many different things come out."""
        return len({square.modes for square in self.squares.values()})

    @property
    def harmed(self) -> int:
        """How many cells are harmed."""
        return sum(square.harmed for square in self.squares.values())

    @property
    def shortest(self) -> Square | None:
        """The harmed cell whose schedule is the shortest; None where there is no harm."""
        harmed = (square for square in self.squares.values() if square.harmed)
        return min(harmed, key=lambda square: square.cost, default=None)


def grids(script: str, graph: Mapping[str, Any]) -> list[Grid]:
    """A graph's grids, one for each place where the script can be stopped.

    Neighbours in which the same comes out everywhere are drawn once. Graphs that were
    stored without a map have none.
    """
    drawn = graph.get("map") or {"cells": [], "kubelet": [], "script": []}
    by_stop: dict[int, dict[tuple[int, int], Square]] = {}
    for cell in drawn["cells"]:
        before, until = place = cell["before"], cell["until"]
        square = Square(before, until, cell["schedule"], tuple(cell["modes"]))
        by_stop.setdefault(cell["script"], {})[place] = square
    found: list[Grid] = []
    for stop, squares in sorted(by_stop.items()):
        grid = Grid(
            script=script,
            family=graph["family"],
            stop=stop,
            last=drawn["script"][stop - 1] if stop else "",
            kubelet=tuple(drawn["kubelet"]),
            rows=tuple(sorted({before for before, _ in squares})),
            columns=tuple(sorted({until for _, until in squares})),
            squares=squares,
        )
        if not found or _ends(found[-1]) != _ends(grid):
            found.append(grid)
    return found


def occurring(grids: Iterable[Grid]) -> list[Mode]:
    """What the cells of some grids lead to, the gravest first: their legend."""
    names = {name for grid in grids for square in grid.squares.values() for name in square.modes}
    return [mode for name, mode in MODES.items() if name in names]


def first_shown(grids: Sequence[Grid], expected: Callable[[str], bool]) -> int:
    """The number of the grid that is shown first: that of the shortest harm, or the most varied.

    Harm by a script that is `expected` to do some comes after harm by another.
    """
    harmed = [
        (expected(grid.script), square.cost, number)
        for number, grid in enumerate(grids)
        if (square := grid.shortest)
    ]
    if harmed:
        return min(harmed)[-1]
    return max(range(len(grids)), key=lambda number: grids[number].differing, default=0)


def drawable(grids: Iterable[Grid]) -> list[Grid]:
    """Those of some grids that a page has room for, the first ones."""
    found: list[Grid] = []
    left = MOST_PLACES
    for grid in grids:
        if max(len(grid.rows), len(grid.columns)) <= MOST_SIDE and grid.places <= left:
            left -= grid.places
            found.append(grid)
    return found


def _ends(grid: Grid) -> dict[tuple[int, int], tuple[str, ...]]:
    return {place: square.modes for place, square in grid.squares.items()}
