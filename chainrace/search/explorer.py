"""Depth-first over the graph of states that interleavings can reach. No I/O.

The explorer says which step to try from which state; whoever drives the node makes
it and tells what came of it. A state reached on two ways is explored once. With the
reduction, steps that nothing which another actor may still do can conflict with are
taken alone: the other orders lead to the same end states (persistent sets; Godefroid,
Partial-Order Methods for the Verification of Concurrent Systems, 1996). States only
grow along a path (each holds its actors' histories), so there are no cycles to mind.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from chainrace.model.actors import owner
from chainrace.search.step import Footprint

Path = tuple[str, ...]  # lanes, a step each


@dataclass(frozen=True)
class Observation:
    """A state as the explorer needs it.

    `enabled` is each lane's next step, `futures` all that each may still do.
    """

    key: str
    enabled: Mapping[str, Footprint]
    futures: Mapping[str, Footprint]


@dataclass(frozen=True)
class Task:
    """Go to the state `origin` by `path`, and let `actor` make a step."""

    origin: str
    path: Path
    actor: str


@dataclass(frozen=True)
class _Open:
    key: str
    path: Path
    actor: str
    last: str  # who made the last step that had a rival
    preemptions: int


@dataclass
class Explorer:
    """The graph so far. Ask `take`, make the steps, `tell`; until nothing is open.

    Without `reduced` every order is tried. `preemptions` bounds how often an actor is stopped
    although it could go on; None is no bound. `merges` counts steps that led to a state known
    already.
    """

    initial: Observation
    reduced: bool = True
    preemptions: int | None = None
    seen: dict[str, Observation] = field(default_factory=dict)
    edges: dict[str, dict[str, str]] = field(default_factory=dict)
    paths: dict[str, Path] = field(default_factory=dict)
    merges: int = 0
    _stack: list[_Open] = field(default_factory=list)
    _taken: dict[tuple[str, str], list[_Open]] = field(default_factory=dict)
    _entered: dict[tuple[str, str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._meet(self.initial, ())
        self._enter(self.initial.key, (), "", 0)

    @property
    def states(self) -> int:
        """How many different states were found."""
        return len(self.seen)

    @property
    def transitions(self) -> int:
        """How many steps between states were made."""
        return sum(len(edges) for edges in self.edges.values())

    @property
    def open(self) -> int:
        """How many steps are still to be tried, as far as is known."""
        return len(self._stack) + len(self._taken)

    @property
    def ends(self) -> list[str]:
        """The end states: no actor has a step left."""
        return [key for key, seen in self.seen.items() if not seen.enabled]

    def take(self) -> Task | None:
        """Steps to try; None when none is free now. What was not told yet may open more."""
        while self._stack:
            wanted = self._stack.pop()
            target = self.edges[wanted.key].get(wanted.actor)
            if target is not None:
                self._follow(wanted, target)
                continue
            name = (wanted.key, wanted.actor)
            if name in self._taken:
                self._taken[name].append(wanted)
                continue
            self._taken[name] = [wanted]
            return Task(wanted.key, self.paths[wanted.key], wanted.actor)
        return None

    def give_back(self, task: Task) -> None:
        """Put a task back that was not done."""
        self._stack.extend(self._taken.pop((task.origin, task.actor)))

    def tell(self, task: Task, seen: Observation) -> None:
        """Take in the state that a task's step led to.

        Raises ValueError for a task that was not taken.
        """
        waiting = self._taken.pop((task.origin, task.actor), None)
        if waiting is None:
            raise ValueError(f"told of {task}, which was not taken")
        self.edges[task.origin][task.actor] = seen.key
        if seen.key in self.seen:
            self.merges += 1
        else:
            self._meet(seen, (*task.path, task.actor))
        for one in waiting:
            self._follow(one, seen.key)

    def leads_through(self, path: Path) -> bool:
        """Whether the way to something open leads along a path."""
        waiting = (one for taken in self._taken.values() for one in taken)
        return any(self.paths[one.key][: len(path)] == path for one in (*self._stack, *waiting))

    def interleavings(self) -> int:
        """How many ways through the explored graph lead from its start to an end."""
        ways: dict[str, int] = {}
        stack = [self.initial.key]
        while stack:
            key = stack[-1]
            targets = list(self.edges[key].values())
            waiting = [target for target in targets if target not in ways]
            if waiting:
                stack.extend(waiting)
            else:
                ways[key] = sum(ways[target] for target in targets) if targets else 1
                stack.pop()
        return ways[self.initial.key]

    def to_try(self, key: str) -> tuple[str, ...]:
        """The actors whose next step must be tried from a state."""
        seen = self.seen[key]
        actors = sorted(seen.enabled)
        if not self.reduced:
            return tuple(actors)
        sets = [self._persistent(seen, actor) for actor in actors]
        return min(sets, key=len, default=())

    def _meet(self, seen: Observation, path: Path) -> None:
        self.seen[seen.key] = seen
        self.edges[seen.key] = {}
        self.paths[seen.key] = path

    def _follow(self, wanted: _Open, target: str) -> None:
        self._enter(target, (*wanted.path, wanted.actor), wanted.last, wanted.preemptions)

    def _enter(self, key: str, path: Path, last: str, preemptions: int) -> None:
        """Open what must be tried from a state, unless that was done at no higher cost.

        A step without a rival could as well be made later, right before its actor's
        next: it neither preempts anyone nor is it what a preemption is counted from.
        """
        if self.preemptions is None:
            last = ""
        best = self._entered.get((key, last))
        if best is not None and (self.preemptions is None or best <= preemptions):
            return
        self._entered[key, last] = preemptions
        choice = self.to_try(key)
        for actor in reversed(choice):
            cost = preemptions + (last in choice and actor != last)
            if self.preemptions is None or cost <= self.preemptions:
                rival = actor if len(choice) > 1 else last
                self._stack.append(_Open(key, path, actor, rival, cost))

    def _persistent(self, seen: Observation, first: str) -> tuple[str, ...]:
        """The smallest set with this lane that no other actor's future can conflict with.

        The script's lanes belong together: what one does decides which lane another is.
        """
        chosen = _with_its_own(seen, {first})
        while True:
            against = {
                other
                for other in seen.futures
                if owner(other) not in {owner(one) for one in chosen}
                and any(seen.enabled[one].conflicts(seen.futures[other]) for one in chosen)
            }
            if not against:
                return tuple(sorted(chosen))
            if not against <= seen.enabled.keys():
                # One that cannot step now comes into it: what would let it is unknown.
                return tuple(sorted(seen.enabled))
            chosen = _with_its_own(seen, chosen | against)


def _with_its_own(seen: Observation, lanes: set[str]) -> set[str]:
    owners = {owner(lane) for lane in lanes}
    return {lane for lane in seen.enabled if owner(lane) in owners}
