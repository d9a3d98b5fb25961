"""One node under the gate, walked to any state that a path of steps leads to."""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby, takewhile
from typing import TypeVar

from chainrace.errors import LabError
from chainrace.force.views import View
from chainrace.node.agent import Agent, RefusedError
from chainrace.node.snapshots import Snapshots
from chainrace.race.explorer import Path

Turns = list[tuple[str, int | None]]

Seen = TypeVar("Seen")

ROOT = "root"
# More than these are never kept: about 350 MB each.
MAX_SNAPSHOTS = 8
# kubelet's order of families is chance, drawn at each of its starts (a Go map's first of
# eight slots: IPv6 comes first in one start of eight); a restored start draws the same.
FLIPS = 30
TRIES = 3


@dataclass
class Costs:
    """How often a node did what, and how many seconds all of it took."""

    counts: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, what: str, times: int, seconds: float) -> None:
        """Count something that was done."""
        self.counts[what] = self.counts.get(what, 0) + times
        self.seconds[what] = self.seconds.get(what, 0.0) + seconds

    @contextmanager
    def of(self, what: str) -> Iterator[None]:
        """Count what is done inside, and time it."""
        started = time.monotonic()
        yield
        self.add(what, 1, time.monotonic() - started)

    def mean(self, what: str, default: float) -> float:
        """Seconds each, so far."""
        return self.seconds[what] / self.counts[what] if self.counts.get(what) else default


class FlippedError(Exception):
    """kubelet began with the other family: its free choice at each start."""


@dataclass
class Walker:
    """A node with kubelet and the script armed, at the state that `at` leads to.

    `first` is the family that kubelet is to begin with, None for either; a `lazy` actor
    waits for all others; `lead` is walked before the root. Without a `script` kubelet starts
    alone; with `boot` before iptables.service. With `snapshots` None every way is walked from
    a fresh start.
    """

    agent: Agent
    snapshots: Snapshots | None
    script: str | None
    first: str | None
    lazy: tuple[str, ...]
    limit: float
    lead: Turns = field(default_factory=list)
    boot: bool = False
    costs: Costs = field(default_factory=Costs)
    differing: int = 0
    at: Path | None = None
    _kept: dict[Path, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._names = (str(number) for number in itertools.count(1))

    def begin(self) -> None:
        """A fresh start: both wait at their first step. Raises LabError."""
        if self.snapshots is not None:
            self.snapshots.clear()
            self._kept.clear()
        self._begin_anew()

    def _begin_anew(self) -> None:
        """Another start of kubelet for the root; states kept further on stay good."""
        for _ in range(FLIPS):
            try:
                self._arm()
                break
            except FlippedError:
                continue
        else:
            raise self._never_so()
        if self.snapshots is not None:
            if () in self._kept:
                self._delete(())
            with self.costs.of("saves"):
                self.snapshots.save(ROOT)
            self._kept[()] = ROOT

    def visit(
        self,
        path: Path,
        turns: Turns,
        *,
        read: Callable[[View], Seen],
        later: Sequence[Path] = (),
        evidence: bool = False,
        tries: int = TRIES,
    ) -> Seen:
        """Go to a state, let actors make turns there, and return what `read` makes of the view.

        `later` are paths that will be gone, as far as is known. `read` raises ValueError for
        a view that does not continue what is known of the path; then the way is walked
        again, and counted in `differing`. Raises LabError when the node is broken, or the
        walk failed `tries` times.
        """
        flips = 0
        for attempt in itertools.count(1):
            try:
                self._go(path, later)
                return read(self._walk(turns, rules=True, evidence=evidence))
            except FlippedError:
                self.at = None
                flips += 1
                if flips > FLIPS:
                    raise self._never_so() from None
                self._begin_anew()
            except (RefusedError, ValueError) as error:
                self.at = None
                self.differing += 1
                if attempt - flips >= tries:
                    raise LabError(
                        f"the same steps failed {tries} times: {error}",
                        f"walk them by hand: ./lab replay (after {' '.join(path) or 'the start'})",
                    ) from error
                # A state kept late on a slow host may be so old that an actor's own limit
                # passes there (systemd's 90 s for a stop): straight from the start it is not.
                self.forget(lambda kept: kept != path[: len(kept)])
        raise AssertionError

    def _never_so(self) -> LabError:
        return LabError(
            f"kubelet never began with {self.first} in {FLIPS} starts",
            "look at its log: ./lab ssh, journalctl -u kubelet",
        )

    def forget(self, needed: Callable[[Path], bool]) -> None:
        """Delete the snapshots that nothing open leads through any more."""
        for path in [path for path in self._kept if path and not needed(path)]:
            self._delete(path)

    def close(self) -> None:
        """Let everything go, with the snapshots and with the time they brought back."""
        self.agent.ask("release", timeout=2 * self.limit)
        self.agent.ask("clock", timeout=self.limit, now=time.time())
        if self.snapshots is not None:
            self.snapshots.clear()

    def _arm(self) -> None:
        with self.costs.of("starts"):
            self.agent.ask(
                "arm",
                timeout=3 * self.limit,
                script=self.script,
                lazy=list(self.lazy),
                limit=self.limit,
                boot=self.boot,
            )
        self.at = ()
        if self.lead:
            self._walk(self.lead, rules=False, evidence=False)
            self.at = ()

    def cost(self, path: Path) -> float:
        """The seconds that going to a state takes from here, about."""
        return self._way(path)[0]

    def _way(self, path: Path) -> tuple[float, Path | None]:
        """The cheapest way to a state: its seconds, and the state it goes back to before.

        None is to go on from here.
        """
        step = self.costs.mean("steps", 0.1)
        best = self._best(path)
        start = self.costs.mean("starts", 10.0)
        back = start if best is None else self.costs.mean("restores", 1.0)
        kept = best or ()
        seconds = back + (len(path) - len(kept)) * step
        if self.at is not None and path[: len(self.at)] == self.at:
            on = (len(path) - len(self.at)) * step
            if on <= seconds:
                return on, None
        return seconds, kept

    def _best(self, path: Path) -> Path | None:
        """The kept state from which the way is shortest."""
        return max((one for one in self._kept if path[: len(one)] == one), key=len, default=None)

    def _go(self, path: Path, later: Sequence[Path]) -> None:
        _, back = self._way(path)
        if back is not None:
            self._back(back)
        best = self._best(path)
        if best is not None and (keep := self._worth_keeping(path, len(best), later)):
            self._on(keep)
            self._keep(keep, later)
        self._on(path)

    def _back(self, path: Path) -> None:
        """Back to a kept state, or without one to a fresh start."""
        if self.snapshots is None or path not in self._kept:
            self._arm()
            return
        with self.costs.of("restores"):
            self.snapshots.restore(self._kept[path])
        self.at = path

    def _on(self, path: Path) -> None:
        """Walk on to a state that the path from here leads to."""
        assert self.at is not None  # noqa: S101 - for the type
        if left := path[len(self.at) :]:
            turns: Turns = [(actor, len(list(steps))) for actor, steps in groupby(left)]
            self._walk(turns, rules=False, evidence=False)

    def _walk(self, turns: Turns, *, rules: bool, evidence: bool) -> View:
        assert self.at is not None  # noqa: S101 - for the type
        came_from = self.at
        self.at = None  # until it is known where the node stands
        started = time.monotonic()
        view: View = self.agent.ask(
            "walk",
            timeout=self.limit * (2 + sum(steps or 30 for _, steps in turns)),
            turns=turns,
            rules_too=rules,
            evidence=evidence,
        )
        made = tuple(actor for actor, count in view["made"] for _ in range(count))
        seconds = time.monotonic() - started
        self.costs.add("steps", len(made), seconds - view["reading"])
        if rules:
            self.costs.add("reads", 1, view["reading"])
        if self.first is not None and view["first_family"] not in (None, self.first):
            raise FlippedError
        self.at = came_from + made
        return view

    def _worth_keeping(self, path: Path, kept: int, later: Sequence[Path]) -> Path | None:
        """The state on a path whose snapshot saves most of what is gone later, if any."""
        assert self.at is not None  # noqa: S101 - for the type
        step, save = self.costs.mean("steps", 0.1), self.costs.mean("saves", 1.0)
        common = [_common(path, one) for one in later]
        gains = {
            length: sum(one >= length for one in common) * (length - kept) * step - save
            for length in range(max(kept + 1, len(self.at)), len(path) + 1)
        }
        best = max(gains, key=lambda length: gains[length], default=None)
        return path[:best] if best is not None and gains[best] > 0 else None

    def _keep(self, path: Path, later: Sequence[Path]) -> None:
        assert self.snapshots is not None  # noqa: S101 - for the type
        if len(self._kept) >= MAX_SNAPSHOTS:
            self._delete(
                min(
                    (kept for kept in self._kept if kept),
                    key=lambda kept: sum(one[: len(kept)] == kept for one in later),
                )
            )
        name = next(self._names)
        with self.costs.of("saves"):
            self.snapshots.save(name)
        self._kept[path] = name

    def _delete(self, path: Path) -> None:
        assert self.snapshots is not None  # noqa: S101 - for the type
        with self.costs.of("deletes"):
            self.snapshots.delete(self._kept.pop(path))


def _common(one: Path, other: Path) -> int:
    """How many steps two paths begin with alike."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
