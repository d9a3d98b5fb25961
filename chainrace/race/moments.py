"""Where to fire: a search that finds the window, coarse then fine, then samples in it.

A moment is a number of seconds after kubelet's first iptables process on the node.
"""

import random
from dataclasses import dataclass, field

COARSE_POINTS = 5
FINE_ROUNDS = 2
FRUITLESS_SWEEPS = 3


@dataclass
class MomentSearch:
    """Proposes moments for the original script and learns whether its start failed.

    `span` is how long kubelet's iptables steps last on this node, from the
    reference. Ask `next_moment` until it is None, telling each result by `learn`;
    then `window` is where to sample.
    """

    span: float
    tried: dict[float, bool] = field(default_factory=dict)
    _queue: list[float] = field(default_factory=list)
    _sweeps: int = 0
    _rounds: int = 0

    def __post_init__(self) -> None:
        if self.span <= 0:
            raise ValueError("kubelet's steps must last some time")

    def next_moment(self) -> float | None:
        """The next moment to try, or None when the search is over."""
        while not self._queue:
            if not self._plan():
                return None
        return self._queue.pop(0)

    def learn(self, moment: float, *, failed: bool) -> None:
        """Take in what the original did when fired at a moment."""
        self.tried[moment] = failed

    @property
    def found(self) -> bool:
        """Whether any moment made the original fail."""
        return any(self.tried.values())

    def _plan(self) -> bool:
        """Queue the next stage: sweeps until something fails, then the edges halved."""
        if not self.found:
            if self._sweeps == FRUITLESS_SWEEPS:
                return False
            step = self.span / COARSE_POINTS
            # Each further sweep lies between the points of those before it.
            shift = step * (0.0, 0.5, 0.25)[self._sweeps]
            self._queue = [shift + step * number for number in range(COARSE_POINTS)]
            self._sweeps += 1
            return True
        if self._rounds == FINE_ROUNDS:
            return False
        self._rounds += 1
        low, high = self._failing()
        below = [moment for moment in self.tried if moment < low]
        above = [moment for moment in self.tried if moment > high]
        edges = []
        if below:
            edges.append((max(below) + low) / 2)
        if above:
            edges.append((min(above) + high) / 2)
        self._queue = edges
        return bool(edges)

    def _failing(self) -> tuple[float, float]:
        """The longest run of neighbouring moments that all failed."""
        best: tuple[int, float, float] = (0, 0.0, 0.0)
        run: list[float] = []
        for moment in sorted(self.tried):
            run = [*run, moment] if self.tried[moment] else []
            if len(run) > best[0]:
                best = (len(run), run[0], run[-1])
        return best[1], best[2]

    @property
    def window(self) -> tuple[float, float]:
        """Between which moments to sample; the whole span where nothing ever failed."""
        if not self.found:
            return 0.0, self.span
        low, high = self._failing()
        if low < high:
            return low, high
        # One failing moment only: stay near it, half a fine step to either side.
        margin = self.span / COARSE_POINTS / 4
        return max(0.0, low - margin), high + margin


def sample(window: tuple[float, float], source: random.Random) -> float:
    """A moment inside the window, each as likely as the other."""
    return source.uniform(*window)
