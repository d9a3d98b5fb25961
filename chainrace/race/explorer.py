"""Depth-first over the graph of states that interleavings can reach. No I/O.

The explorer says which steps to try from which state; whoever drives the node makes
them and tells what came of it. A state reached on two ways is explored once. With the
reduction, steps that nothing which another actor may still do can conflict with are
taken alone: the other orders lead to the same end states (persistent sets; Godefroid,
Partial-Order Methods for the Verification of Concurrent Systems, 1996). States only
grow along a path (each holds its actors' histories), so there are no cycles to mind.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from chainrace.race.step import Footprint
from chainrace.race.trace import Step, Trace

Path = tuple[str, ...]  # actors, a step each
ALL = 10**6  # more steps than any actor has


@dataclass(frozen=True)
class Observation:
    """A state as the explorer needs it.

    `enabled` is each actor's next step, `futures` all that each may still do, `runs`
    what an actor may do at once, its next step first, without any other noticing more.
    """

    key: str
    enabled: Mapping[str, Footprint]
    futures: Mapping[str, Footprint]
    runs: Mapping[str, tuple[Step, ...]]


@dataclass(frozen=True)
class Task:
    """Go to the state `origin` by `path`, and let `actor` make so many steps; ALL is all it has."""

    origin: str
    path: Path
    actor: str
    steps: int


@dataclass(frozen=True)
class Edge:
    """Where an actor's steps led to, and how many they were."""

    target: str
    steps: int


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

    Without `reduced` every order is tried; `grouped` makes at once what no other actor can
    notice, all that is left where no other will step again. `preemptions` bounds how often an actor
    is stopped although it could go on; None is no bound. `merges` counts steps that were made
    and led to a state known already, `swaps` those that need not be made to know it.
    """

    initial: Observation
    reduced: bool = True
    preemptions: int | None = None
    grouped: bool = False
    seen: dict[str, Observation] = field(default_factory=dict)
    edges: dict[str, dict[str, Edge]] = field(default_factory=dict)
    paths: dict[str, Path] = field(default_factory=dict)
    merges: int = 0
    swaps: int = 0
    _stack: list[_Open] = field(default_factory=list)
    _taken: dict[tuple[str, str], list[_Open]] = field(default_factory=dict)
    _traces: dict[str, Trace] = field(default_factory=dict)
    _reached: dict[object, str] = field(default_factory=dict)
    _entered: dict[tuple[str, str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._meet(self.initial, (), Trace())
        self._enter(self.initial.key, (), "", 0)

    @property
    def states(self) -> int:
        """How many different states were found."""
        return len(self.seen)

    @property
    def transitions(self) -> int:
        """How many steps (or runs of steps) between states were made."""
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
            edge = self.edges[wanted.key].get(wanted.actor)
            if edge is not None:
                self._follow(wanted, edge)
                continue
            name = (wanted.key, wanted.actor)
            if name in self._taken:
                self._taken[name].append(wanted)
                continue
            target = self._known_by_swapping(wanted.key, wanted.actor)
            if target is not None:
                self.swaps += 1
                edge = Edge(target, len(self.seen[wanted.key].runs[wanted.actor]))
                self.edges[wanted.key][wanted.actor] = edge
                self._follow(wanted, edge)
                continue
            self._taken[name] = [wanted]
            return Task(wanted.key, self.paths[wanted.key], wanted.actor, self._steps(name))
        return None

    def give_back(self, task: Task) -> None:
        """Put a task back that was not done."""
        self._stack.extend(self._taken.pop((task.origin, task.actor)))

    def tell(self, task: Task, made: Sequence[Step], seen: Observation) -> None:
        """Take in the steps that were made of a task, and the state they led to.

        Raises ValueError for a task that was not taken.
        """
        waiting = self._taken.pop((task.origin, task.actor), None)
        if waiting is None:
            raise ValueError(f"told of {task}, which was not taken")
        edge = Edge(seen.key, len(made))
        self.edges[task.origin][task.actor] = edge
        trace = self._traces[task.origin].after(task.actor, made)
        if seen.key in self.seen:
            self.merges += 1
        else:
            self._meet(seen, (*task.path, *(task.actor,) * len(made)), trace)
        self._reached[trace.key] = seen.key
        for one in waiting:
            self._follow(one, edge)

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
            targets = [edge.target for edge in self.edges[key].values()]
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

    def _steps(self, name: tuple[str, str]) -> int:
        """How many steps an actor makes at once from a state."""
        key, actor = name
        seen = self.seen[key]
        others = [future for one, future in seen.futures.items() if one != actor]
        if self.grouped and not any(future.reads or future.writes for future in others):
            return ALL
        return len(seen.runs[actor]) if self.reduced or self.grouped else 1

    def _known_by_swapping(self, key: str, actor: str) -> str | None:
        """The state that an actor's steps lead to, where another order of the same did."""
        if not self.reduced:
            return None
        trace = self._traces[key].after(actor, self.seen[key].runs[actor])
        return self._reached.get(trace.key)

    def _meet(self, seen: Observation, path: Path, trace: Trace) -> None:
        self._traces[seen.key] = trace
        self.seen[seen.key] = seen
        self.edges[seen.key] = {}
        self.paths[seen.key] = path

    def _follow(self, wanted: _Open, edge: Edge) -> None:
        path = (*wanted.path, *(wanted.actor,) * edge.steps)
        self._enter(edge.target, path, wanted.last, wanted.preemptions)

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
        """The smallest set with this actor that no other actor's future can conflict with."""
        chosen = {first}
        while True:
            against = {
                other
                for other in seen.futures
                if other not in chosen
                and any(seen.enabled[one].conflicts(seen.futures[other]) for one in chosen)
            }
            if not against:
                return tuple(sorted(chosen))
            if not against <= seen.enabled.keys():
                # One that cannot step now comes into it: what would let it is unknown.
                return tuple(sorted(seen.enabled))
            chosen |= against
