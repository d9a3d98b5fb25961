"""Depth-first over the graph of states that interleavings can reach. No I/O.

The explorer says which step to try from which state; whoever drives the node does it
and tells what came of it. A state reached on two ways is explored once. With the
reduction, a step that no other actor can ever conflict with is taken alone: the
other orders lead to the same end states (a persistent set of one; Godefroid, Partial-
Order Methods for the Verification of Concurrent Systems, 1996). States only grow
along a path (each holds its actors' histories), so there are no cycles to mind.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

from chainrace.race.step import Footprint


@dataclass(frozen=True)
class Observation:
    """A state as the node shows it: its identity, and each actor's next step if it has one."""

    key: Hashable
    enabled: Mapping[str, Footprint]


@dataclass(frozen=True)
class Task:
    """Go to the state that `path` (actors, a step each) leads to, and let `actor` step."""

    path: tuple[str, ...]
    actor: str


class UnexpectedStepError(Exception):
    """An actor wants what its known future does not hold: the reduction would be unsound."""


@dataclass
class Explorer:
    """The graph so far. `futures` says all that an actor may still do, by actor.

    Without `futures` nothing is reduced. Ask `next_task` until it is None, telling
    each result by `tell`; then `ends` has every end state with its shortest known path.
    """

    initial: Observation
    futures: Mapping[str, Footprint] | None = None
    ends: dict[Hashable, tuple[str, ...]] = field(default_factory=dict)
    edges: dict[Hashable, dict[str, Hashable]] = field(default_factory=dict)
    merges: int = 0
    _open: list[tuple[Hashable, Task]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._enter(self.initial, ())

    @property
    def states(self) -> int:
        """How many different states were found."""
        return len(self.edges)

    @property
    def open(self) -> int:
        """How many steps are still to be tried."""
        return len(self._open)

    def next_task(self) -> Task | None:
        """The step to try next, deepest first; None when nothing is left."""
        return self._open[-1][1] if self._open else None

    def tell(self, task: Task, seen: Observation) -> None:
        """Take in which state the step of `next_task` led to. Raises UnexpectedStepError."""
        origin, expected = self._open.pop()
        if task != expected:
            raise ValueError(f"told of {task}, asked for {expected}")
        self.edges[origin][task.actor] = seen.key
        path = (*task.path, task.actor)
        if seen.key in self.edges:
            self.merges += 1
            if seen.key in self.ends and len(path) < len(self.ends[seen.key]):
                self.ends[seen.key] = path
            return
        self._enter(seen, path)

    def interleavings(self) -> int:
        """How many ways through the explored graph lead from its start to an end."""
        ways: dict[Hashable, int] = {}
        stack = [self.initial.key]
        while stack:
            key = stack[-1]
            targets = self.edges[key].values()
            waiting = [target for target in targets if target not in ways]
            if waiting:
                stack.extend(waiting)
            else:
                ways[key] = sum(ways[target] for target in targets) if targets else 1
                stack.pop()
        return ways[self.initial.key]

    def _enter(self, seen: Observation, path: tuple[str, ...]) -> None:
        self.edges[seen.key] = {}
        if not seen.enabled:
            self.ends[seen.key] = path
            return
        for actor in reversed(self._to_try(seen)):
            self._open.append((seen.key, Task(path, actor)))

    def _to_try(self, seen: Observation) -> list[str]:
        """The actors whose next step must be tried here."""
        actors = sorted(seen.enabled)
        if self.futures is None:
            return actors
        for actor in actors:
            wanted, known = seen.enabled[actor], self.futures[actor]
            if not (wanted.reads <= known.reads and wanted.writes <= known.writes):
                raise UnexpectedStepError(f"{actor} wants {wanted}, which is not in its future")
        for actor in actors:
            others = (self.futures[other] for other in actors if other != actor)
            if not any(seen.enabled[actor].conflicts(future) for future in others):
                return [actor]
        return actors
