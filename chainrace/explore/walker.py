"""One node under the gate, brought to any state that a path of steps leads to."""

import itertools
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby, takewhile
from typing import TypeVar

from chainrace.base.errors import LabError
from chainrace.model.actors import ACTOR_OF, SUBJECT_ACTOR
from chainrace.model.protocol import Arm, Clock, Release, View, Walk
from chainrace.model.rules import FAMILIES
from chainrace.model.schedule import so_far
from chainrace.model.subject import Subject, sides
from chainrace.node.agent import Agent, RefusedError
from chainrace.node.snapshots import Snapshots
from chainrace.search.explorer import Path
from chainrace.subjects.kubelet.subject import SUBJECT as KUBELET

Turns = list[tuple[str, int | None]]

Seen = TypeVar("Seen")

ROOT = "root"
# The node in its clean state, before anything began: every start is from there.
PRISTINE = "pristine"
# More than these are never kept: about 350 MB each.
MAX_SNAPSHOTS = 8
# kubelet's order of families is chance, drawn at each of its starts (a Go map's first of
# eight slots: IPv6 comes first in one start of eight); a restored start draws the same.
FLIPS = 30
# Those whose first step is a subject's start.
FIRST_LANES = (ACTOR_OF[FAMILIES[0]], SUBJECT_ACTOR)
ENTROPY_BYTES = 32
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


GOES_ON = "run it again: it goes on from there"


class StoppedError(LabError):
    """Whoever drives the node has said that it is to stop."""


class UnrepeatableError(LabError):
    """The same steps did not lead to the same state, as often as it was tried."""


@dataclass
class Walker:
    """A node with kubelet and the script, at the state that `at` leads to.

    `first` is the family that kubelet is to begin with, None for either; a `lazy` lane
    waits for all others; `lead` is executed before the root. `other` is a unit in the script's
    place, or kubelet, and then the `subject` is; without both the subject starts alone; with `boot`
    before iptables.service. With
    `snapshots` each start is the same disk and memory, once `keep_pristine` has kept them; with
    `returns` states on the way are kept, too.
    """

    agent: Agent
    snapshots: Snapshots | None
    script: str | None
    first: str | None
    lazy: tuple[str, ...]
    limit: float
    lead: Turns = field(default_factory=list)
    boot: bool = False
    subject: Subject = KUBELET
    other: Subject | None = None
    returns: bool = True
    costs: Costs = field(default_factory=Costs)
    differing: int = 0
    at: Path | None = None
    doubts: list[str] = field(default_factory=list)
    stopped: bool = False  # nothing more is to be executed
    _kept: dict[Path, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._names = (str(number) for number in itertools.count(1))

    def begin(self) -> None:
        """A fresh start: nothing of either has begun. Raises LabError."""
        if self.snapshots is not None and self.returns:
            self.snapshots.clear(but=PRISTINE)
            self._kept.clear()
        for _ in range(FLIPS):
            try:
                self._arm()
                break
            except FlippedError:
                continue
        else:
            raise self._never_so()
        if self.snapshots is not None and self.returns:
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
        seconds: float | None = None,
        places: bool = False,
        each: bool = False,
    ) -> Seen:
        """Go to a state, let actors make turns there, and return what `read` makes of the view.

        `later` are paths that will be gone, as far as is known. `read` raises ValueError for
        a view that does not continue what is known of the path; then all is executed
        again, and counted in `differing`. With `places` the view has each step's, with `each`
        the rules after each (`left`). After `seconds` no further step is made. Raises LabError
        when the node is broken, UnrepeatableError when the walk failed `tries` times.
        """
        flips = 0
        for attempt in itertools.count(1):
            try:
                self._go(path, later)
                view = (
                    self._walk_each(turns, evidence=evidence)
                    if each
                    else self._walk(
                        turns, rules=True, evidence=evidence, seconds=seconds, places=places
                    )
                )
                return read(view)
            except FlippedError:
                self.at = None
                flips += 1
                if flips > FLIPS:
                    raise self._never_so() from None
                # A state that was kept on the way may draw the same again each time.
                self.forget(lambda kept: kept != path[: len(kept)])
            except (RefusedError, ValueError) as error:
                self.at = None
                if self.stopped:
                    raise StoppedError(str(error), GOES_ON) from error
                self.differing += 1
                if attempt - flips >= tries:
                    failed = isinstance(error, RefusedError)
                    what = "failed" if failed else "did not lead to the same state"
                    why = error.what if isinstance(error, RefusedError) else str(error)
                    steps = so_far([*((lane, 1) for lane in path), *turns])
                    raise UnrepeatableError(
                        f"the same steps {what}, {tries} times: {why} ({steps})",
                        f"walk them by hand, of this script and subject: ./lab replay '{steps}'",
                    ) from error
                # A state kept late on a slow host may be so old that an actor's own limit
                # passes there (a unit's TimeoutStopSec=): straight from the start it is not.
                self.forget(lambda kept: kept != path[: len(kept)])
        raise AssertionError

    def _never_so(self) -> LabError:
        return LabError(
            f"kubelet never began with {self.first} in {FLIPS} starts",
            "look at its log: ./lab ssh, journalctl -u kubelet",
        )

    def stop(self) -> None:
        """Have the step that is under way end soon, and begin no other."""
        self.stopped = True
        self.agent.break_off()

    def forget(self, needed: Callable[[Path], bool]) -> None:
        """Delete the snapshots that nothing open leads through any more."""
        for path in [path for path in self._kept if path and not needed(path)]:
            self._delete(path)

    def close(self) -> None:
        """Let everything go, with the snapshots and with the time they brought back.

        From the pristine state, where that is kept: what the script did to the node last (a unit
        that it masked) may be in the way of cleaning it.
        """
        self.stopped = True
        if self.snapshots is not None:
            self.snapshots.restore(PRISTINE)
        self.agent.ask(Release(), timeout=2 * self.limit)
        self.agent.ask(Clock(time.time()), timeout=self.limit)
        if self.snapshots is not None:
            self.snapshots.clear(but=PRISTINE)

    def _arm(self) -> None:
        with self.costs.of("starts"):
            if self.snapshots is not None:
                self.snapshots.restore(PRISTINE)
            first, second = sides(self.subject, self.other)
            asked = Arm(
                script=self.script,
                lazy=list(self.lazy),
                limit=self.limit,
                boot=self.boot,
                fresh=self.snapshots is not None,
                program=first.armed(),
                other=second.as_unit() if second else None,
                judges_other=second is self.subject,
            )
            self.agent.ask(asked, timeout=3 * self.limit)
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
        best = self._best(path)
        start = self.costs.mean("starts", 10.0)
        back = start if best is None else self.costs.mean("restores", 1.0)
        kept = best or ()
        seconds = back + self._seconds(path, len(kept))
        if self.at is not None and path[: len(self.at)] == self.at:
            on = self._seconds(path, len(self.at))
            if on <= seconds:
                return on, None
        return seconds, kept

    def _seconds(self, path: Path, since: int) -> float:
        """What the steps of a path take from one on, about: kubelet's own start the most."""
        steps = (len(path) - since) * self.costs.mean("steps", 0.1)
        begins = not self.lead and any(
            lane in path[since:] and lane not in path[:since] for lane in FIRST_LANES
        )
        return steps + (self.costs.mean("begins", 5.0) if begins else 0.0)

    def _best(self, path: Path) -> Path | None:
        """The kept state from which the way is shortest."""
        return max((one for one in self._kept if path[: len(one)] == one), key=len, default=None)

    def _go(self, path: Path, later: Sequence[Path]) -> None:
        _, back = self._way(path)
        if back is not None:
            self._back(back)
        best = self._best(path)
        if (
            self.returns
            and best is not None
            and (keep := self._worth_keeping(path, len(best), later))
        ):
            self._on(keep)
            self._keep(keep, later)
        self._on(path)

    def _back(self, path: Path) -> None:
        """Back to a kept state, or without one to a fresh start."""
        if path not in self._kept:
            self._arm()
            return
        assert self.snapshots is not None  # noqa: S101 - for the type
        with self.costs.of("restores"):
            self.snapshots.restore(self._kept[path])
        self.at = path

    def _on(self, path: Path) -> None:
        """Walk on to a state that the path from here leads to."""
        assert self.at is not None  # noqa: S101 - for the type
        if left := path[len(self.at) :]:
            turns: Turns = [(actor, len(list(steps))) for actor, steps in groupby(left)]
            self._walk(turns, rules=False, evidence=False)

    def _walk(
        self,
        turns: Turns,
        *,
        rules: bool,
        evidence: bool,
        seconds: float | None = None,
        places: bool = False,
    ) -> View:
        assert self.at is not None  # noqa: S101 - for the type
        if self.stopped:
            raise StoppedError("the exploration was stopped", GOES_ON)
        came_from = self.at
        self.at = None  # until it is known where the node stands
        started = time.monotonic()
        asked = Walk(
            turns=turns,
            entropy=secrets.token_hex(ENTROPY_BYTES),
            seconds=seconds,
            rules_too=rules,
            evidence=evidence,
            places=places,
        )
        limit = self.limit * (2 + sum(steps or 30 for _, steps in turns))
        view = self.agent.ask(asked, timeout=limit)
        made = tuple(view["made"])
        took = time.monotonic() - started - view["reading"]
        began = view["beginning"]
        if began:
            self.costs.add("begins", 1, began)
        self.costs.add("steps", len(made), took - began)
        self.doubts += [one for one in view["doubts"] if one not in self.doubts]
        if rules:
            self.costs.add("reads", 1, view["reading"])
        if self.first is not None and view["first_family"] not in (None, self.first):
            raise FlippedError
        self.at = came_from + made
        return view

    def _walk_each(self, turns: Turns, *, evidence: bool) -> View:
        """As `_walk`; `left` has the rules after each step, with how many commands there were.

        Its first are those before any step.
        """
        start = self._walk([], rules=True, evidence=False)
        left = [(len(start["commands"]), start["rules"])]
        counts = []
        for lane, steps in turns:
            made = 0
            while made != steps:
                view = self._walk([(lane, 1)], rules=True, evidence=False)
                if not view["counts"][0]:
                    break
                made += 1
                left.append((len(view["commands"]), view["rules"]))
            counts.append(made)
        last = self._walk([], rules=True, evidence=evidence)
        return {**last, "counts": counts, "left": left}

    def _worth_keeping(self, path: Path, kept: int, later: Sequence[Path]) -> Path | None:
        """The state on a path whose snapshot saves most of what is gone later, if any."""
        assert self.at is not None  # noqa: S101 - for the type
        save = self.costs.mean("saves", 1.0)
        common = [_common(path, one) for one in later]
        gains = {
            length: sum(one >= length for one in common) * self._between(path, kept, length) - save
            for length in range(max(kept + 1, len(self.at)), len(path) + 1)
        }
        best = max(gains, key=lambda length: gains[length], default=None)
        return path[:best] if best is not None and gains[best] > 0 else None

    def _between(self, path: Path, since: int, until: int) -> float:
        return self._seconds(path[:until], since)

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
