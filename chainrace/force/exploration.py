"""Explores all interleavings of one script with kubelet's work on one family, on nodes.

The families are explored one after the other: no command of the one can influence
what kubelet does in the other, so the other family's actor waits until both are done.
"""

import math
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from chainrace.errors import LabError
from chainrace.force.roots import ScriptAlone
from chainrace.force.store import End, Store
from chainrace.force.views import Reference, as_seen, calls_of, ending_at
from chainrace.force.walker import Walker
from chainrace.gate.process import KUBELETS, SCRIPT_ACTOR
from chainrace.gate.rules import plain
from chainrace.race import outcomemap
from chainrace.race import state as states
from chainrace.race.coverage import unseen
from chainrace.race.explorer import ALL, Explorer, Observation, Path, Task
from chainrace.race.force import EndState, Graph
from chainrace.race.knowledge import Knowledge
from chainrace.race.outcome import HEALTHY, FamilyOutcome, judge_family
from chainrace.race.shortest import plain_paths, plainest
from chainrace.race.state import State

POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Options:
    """`budget` in seconds; `preemptions` bounds them; `reduced` leaves out equal orders.

    Seconds end nothing before `least` steps were walked in a family: on a slow host they
    would end every exploration before it can say anything.
    """

    budget: float | None = None
    preemptions: int | None = None
    reduced: bool = True
    least: int = 0


@dataclass(frozen=True)
class Progress:
    """How far an exploration is. Seconds; `left` of the budget."""

    family: str
    states: int
    open: int
    transitions: int
    elapsed: float
    left: float | None


class Exploration:
    """One script against one family. `run` until it returns; then `graph`."""

    def __init__(
        self,
        family: str,
        walkers: list[Walker],
        reference: Reference,
        options: Options,
        store: Store,
        *,
        tell: Callable[[Progress], None],
    ) -> None:
        self._walkers = walkers
        self._reference = reference
        self._options = options
        self._store = store
        self._tell = tell
        self.known = Knowledge(family, reduced=options.reduced)
        self._unknown: list[Task] = []
        self._walked: set[tuple[str, str]] = set()
        self._changed = threading.Condition()
        self._busy = 0
        self._working = 0
        self._stopped = False
        self._failure: BaseException | None = None
        self._begun = time.monotonic()
        self._grouped = False

    def prepare(self) -> ScriptAlone:
        """Start the first node, and see the script's own run. Raises LabError."""
        first = self._walkers[0]
        first.begin()
        start = first.visit((), [], read=as_seen)
        self._root = states.read(start, None)
        self._ordered = not any(start["next"][actor] for actor in KUBELETS)
        if self._ordered:
            # There is next to no choice, and steps that let the other actor begin.
            self._without_reduction(restarts=False)
        try:
            alone = first.visit((), [(SCRIPT_ACTOR, None)], read=as_seen, tries=1)
        except LabError as error:
            raise LabError(
                f"the script does not come to its end while kubelet waits: {error.what}",
                "run it on the node by hand: ./lab ssh",
            ) from error
        if alone["restarts"]:
            self._without_reduction(restarts=True)
            if self._options.preemptions is None:
                raise LabError(
                    "the script restarts kubelet: no order can be left out, and all are too many",
                    "bound them: ./lab explore --script FILE --preemptions 1",
                )
        calls = calls_of(alone, SCRIPT_ACTOR)
        kubelets = calls_of(self._reference.view, self.known.kubelet)
        self.known.plan.learn(self.known.kubelet, kubelets)
        self.known.plan.learn(SCRIPT_ACTOR, calls)
        self.known.remember(self._root)
        self._restart()
        changed = {
            name: plain(text) != plain(start["rules"].get(name, ""))
            for name, text in alone["rules"].items()
        }
        return ScriptAlone(
            calls=calls,
            code=alone["script_code"],
            changed=any(changed.values()),
            ordered=self._ordered,
            restarts=alone["restarts"] > 0,
        )

    def _without_reduction(self, *, restarts: bool) -> None:
        self._options = replace(self._options, reduced=False)
        self._grouped = restarts
        self.known = Knowledge(self.known.family, reduced=False, restarts=restarts)

    def run(self) -> None:
        """Explore until nothing is open or the budget is spent. Raises LabError.

        An interruption ends it after the steps under way; all found is kept.
        """
        for learned in self._store.read():
            if isinstance(learned, End):
                self.known.endings[learned.end] = learned.ending
            else:
                self.known.effects.keep(learned)
        self._begun = time.monotonic()
        self._working = len(self._walkers)
        for walker in self._walkers:
            threading.Thread(target=self._work, args=(walker,), daemon=True).start()
        # Not Thread.join: interrupted, it takes a thread for ended that still runs
        # (CPython 3.11, Thread._wait_for_tstate_lock).
        with self._changed:
            try:
                while self._working:
                    self._changed.wait(POLL_SECONDS)
            finally:
                self._stopped = True
                while self._working:
                    self._changed.wait(POLL_SECONDS)
        if self._failure is not None:
            raise self._failure

    def graph(self) -> Graph:
        """What was found so far."""
        explorer = self._explorer
        paths = plain_paths(explorer)
        kubelet = self.known.kubelet
        # A schedule counts from kubelet's first step, also of a root further on.
        before = (kubelet,) * len(self._root.histories[kubelet])
        ends = []
        for key in explorer.ends:
            if not self.known.states[key].ended[kubelet]:
                raise LabError(
                    f"nothing steps any more, but kubelet has not done with {self.known.family}",
                    "look at the gate's log: ./lab ssh, journalctl -u chainrace-gate",
                )
            judged = judge_family(self._reference.rules, self.known.ending(key), self.known.family)
            self._refuse_unseen(key, judged)
            path = (*before, *paths[key])
            schedule = plainest(path, self.known.trace(path, self.known.states[key]))
            ends.append(EndState(key, schedule, judged))
        alike = {end.outcome.classes for end in ends}
        complete = not explorer.open and self._options.preemptions is None
        costs = [walker.costs for walker in self._walkers]
        lengths = [len(self.known.plan.sequences[actor][0]) for actor in self.known.actors]
        return Graph(
            family=self.known.family,
            states=explorer.states,
            transitions=explorer.transitions,
            merges=explorer.merges,
            swaps=explorer.swaps,
            walked=sum(actor in explorer.edges.get(key, {}) for key, actor in self._walked),
            open=explorer.open,
            interleavings=explorer.interleavings(),
            orders=1 if self._ordered else math.comb(sum(lengths), lengths[0]),
            preemptions=self._options.preemptions,
            differing=sum(walker.differing for walker in self._walkers),
            counts=_summed(cost.counts for cost in costs),
            seconds=_summed(cost.seconds for cost in costs),
            ends=tuple(ends),
            map=outcomemap.draw(
                self.known,
                self._root,
                lambda left: judge_family(self._reference.rules, left, self.known.family),
                only=alike.pop() if complete and len(alike) == 1 else None,
            ),
        )

    def _refuse_unseen(self, key: str, judged: FamilyOutcome) -> None:
        """Raise LabError for a healthy end to which kubelet came by fewer steps than it takes."""
        if judged.outcome != HEALTHY:
            return
        made = (one.call for one in self.known.states[key].histories[self.known.kubelet])
        if missed := unseen(calls_of(self._reference.view, self.known.kubelet), made):
            raise LabError(
                f"kubelet was not seen to run {', '.join(missed)}, and yet it is healthy",
                "look at the gate's log: ./lab ssh, journalctl -u chainrace-gate",
            )

    def _restart(self) -> None:
        """A new graph with what is known now; what was walked is not walked again."""
        self._unknown = []
        self._explorer = Explorer(
            self.known.observe(self._root),
            self._options.reduced,
            self._options.preemptions,
            self._grouped,
        )

    def _left(self) -> float | None:
        budget = self._options.budget
        return None if budget is None else max(0.0, budget - (time.monotonic() - self._begun))

    def _next(self, walker: Walker) -> tuple[Explorer, Task] | None:
        """Something to do; None when all is done, or nothing more shall be."""
        while not self._stopped:
            if self._left() == 0 and len(self._walked) >= self._options.least:
                return None
            self._tell_all_known()
            if self._unknown:
                task = min(self._unknown, key=lambda task: walker.cost(task.path))
                self._unknown.remove(task)
                return self._explorer, task
            if self._busy == 0:
                return None
            self._changed.wait(POLL_SECONDS)
        return None

    def _tell_all_known(self) -> None:
        """Go on in the graph wherever that was learned; what was not is left to be walked."""
        again, self._unknown = self._unknown, []
        while task := again.pop() if again else self._explorer.take():
            inferred = self.known.inferred(task.origin, task.actor, task.steps)
            if inferred is None:
                self._unknown.append(task)
                continue
            made, target = inferred
            seen = self.known.observe(target)
            if self._unseen_end(target, seen):
                self._unknown.append(task)
            else:
                self._told(self._explorer, task, made, target, seen)

    def _unseen_end(self, state: State, seen: Observation) -> bool:
        """Whether a state must be walked to: an end that leaves what was not seen yet."""
        return not seen.enabled and self.known.left_by(state) not in self.known.endings

    def _told(
        self, explorer: Explorer, task: Task, made: int, target: State, seen: Observation
    ) -> None:
        self.known.remember(target)
        explorer.tell(task, self.known.made(task.actor, made, target), seen)

    def _work(self, walker: Walker) -> None:
        try:
            if walker is not self._walkers[0]:
                walker.begin()
            self._explore_with(walker)
        except BaseException as error:  # noqa: BLE001 - raised again by `run`
            self._failure = self._failure or error
            self._stopped = True
        finally:
            with self._changed:
                self._working -= 1
                self._changed.notify_all()

    def _explore_with(self, walker: Walker) -> None:
        while True:
            with self._changed:
                found = self._next(walker)
                if found is None:
                    return
                self._busy += 1
                explorer, task = found
                later = [one.path for one in self._unknown]
            try:
                made, target, learned = self._make(walker, task, later)
            except BaseException:
                with self._changed:
                    self._busy -= 1
                    explorer.give_back(task)
                raise
            with self._changed:
                self._busy -= 1
                self._take_in(explorer, task, made, target, learned=learned)
                walker.forget(self._explorer.leads_through)
                self._changed.notify_all()

    def _make(self, walker: Walker, task: Task, later: Sequence[Path]) -> tuple[int, State, bool]:
        """Make a task's steps on a node, and look at the end that they may lead to.

        Returns how many were made, the state then, and whether the actor did what was
        not known of it.
        """
        inferred, learned = self.known.inferred(task.origin, task.actor, task.steps), False
        if not self._options.reduced:
            made, target = self._walk_at_once(walker, task, later)
        elif inferred is None:
            made, target, learned = self._walk(walker, task, later)
        else:
            made, target = inferred
        if self._unseen_end(target, self.known.observe(target)):
            path = (*task.path, *(task.actor,) * made)
            read = partial(ending_at, target)
            ending = walker.visit(path, [], read=read, later=later, evidence=True)
            self.known.endings[self.known.left_by(target)] = ending
            self._store.add(End(self.known.left_by(target), ending))
        return made, target, learned

    def _walk_at_once(self, walker: Walker, task: Task, later: Sequence[Path]) -> tuple[int, State]:
        """Make a task's steps where nothing is inferred from them."""
        origin = self.known.states[task.origin]
        read = partial(states.read, before=origin)
        steps = None if task.steps == ALL else task.steps
        target = walker.visit(task.path, [(task.actor, steps)], read=read, later=later)
        return len(target.histories[task.actor]) - len(origin.histories[task.actor]), target

    def _walk(self, walker: Walker, task: Task, later: Sequence[Path]) -> tuple[int, State, bool]:
        """Make a task's steps one by one, and then more, as long as they teach something."""
        actor, path, state = task.actor, task.path, self.known.states[task.origin]
        target, known = state, True
        while state.waiting[actor]:
            following = self.known.infer(state, actor)
            made = len(path) - len(task.path)
            teaches = self._options.reduced and not following and not self.known.is_end(state)
            if made >= task.steps and not teaches:
                break
            if following is None:
                read = partial(states.read, before=state)
                following = walker.visit(path, [(actor, 1)], read=read, later=later)
                self._learn(state, actor, following)
                known = known and self.known.plan.knows(actor, following)
            path, state = (*path, actor), following
            if made < task.steps:
                target = state
        if not known:
            whole = walker.visit(path, [(actor, None)], read=as_seen)
            self.known.plan.learn(actor, calls_of(whole, actor))
        return min(task.steps, len(path) - len(task.path)), target, not known

    def _learn(self, origin: State, actor: str, target: State) -> None:
        if not self._options.reduced:
            return
        try:
            self._store.add(*self.known.effects.learn(origin, actor, target))
        except ValueError as error:
            raise LabError(
                f"no order can be left out for this script: {error}",
                "docs/explanation.md says what the reduction builds on",
            ) from error

    def _take_in(
        self, explorer: Explorer, task: Task, made: int, target: State, *, learned: bool
    ) -> None:
        self._walked.add((task.origin, task.actor))
        if learned:
            self._restart()
        elif explorer is self._explorer:
            self._told(explorer, task, made, target, self.known.observe(target))
        self._tell(
            Progress(
                self.known.family,
                self._explorer.states,
                self._explorer.open,
                self._explorer.transitions,
                time.monotonic() - self._begun,
                self._left(),
            )
        )


def _summed(parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    total: dict[str, Any] = {}
    for part in parts:
        for name, value in part.items():
            total[name] = total.get(name, 0) + value
    return total
