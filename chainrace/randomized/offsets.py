"""Where to fire: a search that finds the window, coarse then fine, and aims in it.

A offset is a number of seconds after kubelet's first iptables process on the node.
The search learns from each trial's timeline how long after its shot the flush falls
and when kubelet builds its guard; from then on it aims the one at the other. It goes
on learning while sampling, for a host's speed drifts.
"""

import random
from dataclasses import dataclass, field
from statistics import median

from chainrace.randomized.window import Sighting

COARSE = (0.0, 1 / 3)  # of the span
SWEEP = (0.1, 0.2, 0.5, 0.65, 0.8)  # of the span, where the timeline tells nothing
# Of the guard. Its two jumps are made in the first two thirds: a delete that comes
# just behind either finds the chain in use and fails. Behind both, nothing saves it.
FINE = (0.6, 0.85)
RECENT = 8  # sightings that the aim is taken from


@dataclass
class OffsetSearch:
    """Proposes offsets for the original script and learns what became of them.

    `span` is how long kubelet's iptables steps last, `guard` how long the part that
    can be broken lasts, both from the reference, in seconds. Ask `next_offset` until
    it is None, telling every trial by `learn`; then sample in `window`.
    """

    span: float
    guard: float
    sightings: list[Sighting] = field(default_factory=list)
    _queue: list[float] = field(default_factory=list)
    _stage: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.guard <= self.span:
            raise ValueError(f"kubelet's guard lasts {self.guard} of {self.span} seconds")

    def next_offset(self) -> float | None:
        """The next offset to try, or None when the search is over."""
        if not self._queue:
            self._stage += 1
            if self._stage == 1:
                self._queue = [share * self.span for share in COARSE]
            elif self._stage == 2:  # noqa: PLR2004 - the second stage
                self._queue = self._fine()
            else:
                return None
        return self._queue.pop(0)

    def learn(self, sighting: Sighting) -> None:
        """Take in what one trial of the original showed."""
        self.sightings.append(sighting)

    def _fine(self) -> list[float]:
        aims = [self._aim(share) for share in FINE]
        known = [aim for aim in aims if aim is not None]
        return known or [share * self.span for share in SWEEP]

    def _aim(self, share: float) -> float | None:
        """When to fire so that the flush falls at this share of the guard.

        None while no trial has shown both the flush and the guard.
        """
        recent = self.sightings[-RECENT:]
        # A host that is slow for one trial delays the flush and the guard alike: their
        # distance varies less than either.
        distances = [
            one.flush - one.script_started - one.guard_begin
            for one in recent
            if one.flush is not None and one.guard_begin is not None
        ]
        if not distances:
            return None
        lengths = [
            one.guard_end - one.guard_begin
            for one in recent
            if one.guard_begin is not None and one.guard_end is not None
        ]
        # Before kubelet's first process there is nothing to anchor a shot on.
        return max(0.0, share * median(lengths or [self.guard]) - median(distances))

    @property
    def window(self) -> tuple[float, float]:
        """Between which offsets to sample."""
        low, high = self._aim(FINE[0]), self._aim(FINE[-1])
        if low is not None and high is not None:
            return low, high
        failing = [one.script_started for one in self.sightings if one.failed]
        if failing:
            return min(failing), max(failing)
        return 0.0, self.span


def sample(window: tuple[float, float], source: random.Random) -> float:
    """A offset inside the window, each as likely as the other."""
    return source.uniform(*window)
