"""Explores all interleavings of one script with kubelet's work on some families, on nodes."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from chainrace.base.errors import LabError
from chainrace.explore.drawing import Drawing
from chainrace.explore.options import Options
from chainrace.explore.order import rank
from chainrace.explore.roots import ScriptAlone, subjects_turns
from chainrace.explore.store import End, Store
from chainrace.explore.views import (
    Reference,
    as_seen,
    calls_of,
    ending_at,
    own_programs,
    unlike,
)
from chainrace.explore.walker import StoppedError, Turns, UnrepeatableError, Walker
from chainrace.judge.explored import Graph
from chainrace.judge.progress import Progress
from chainrace.model.actors import KUBELETS, SCRIPT_ACTOR, owner
from chainrace.model.mode import HEALTHY
from chainrace.model.protocol import View
from chainrace.model.trial import Ending
from chainrace.search import state as states
from chainrace.search.effects import ContradictionError, DiffersError
from chainrace.search.explorer import Explorer, Observation, Path, Task
from chainrace.search.knowledge import Knowledge
from chainrace.search.state import State

POLL_SECONDS = 0.5
# The script's run alone: what makes more steps, or takes longer, is not exercised.
ALONE_STEPS = 400
ALONE_SECONDS = 150.0


class UnexercisedError(LabError):
    """The script does not come to its end by itself: there is nothing to explore."""


class Exploration:
    """One script against some families. `prepare`, `run` until it returns; then `graphs`."""

    def __init__(
        self,
        families: Sequence[str],
        walkers: list[Walker],
        reference: Reference,
        options: Options,
        store: Store,
        *,
        tell: Callable[[Progress], None],
        first: Reference | None = None,
    ) -> None:
        """Ends are judged by `reference`.

        Where it is the other that is judged, `first` is of the program whose lanes are the
        subject's.
        """
        self._walkers = walkers
        self._reference = reference
        self._first = first or reference
        self._options = options
        self._store = store
        self._tell = tell
        subject = self._first.subject
        self.known = Knowledge(
            families,
            reduced=options.reduced,
            kubelet=subject.by_family,
            words=() if subject.by_family else (*subject.words, *own_programs(self._first.view)),
            judges_other=first is not None,
        )
        self.doubts: list[str] = []
        self._unknown: list[Task] = []
        self._to_judge: set[Task] = set()  # those of them that lead to an end
        self._harm: set[str] = set()
        self._likely: dict[Task, tuple[int, int, int]] = {}
        self._executed: set[tuple[str, str]] = set()
        self._changed = threading.Condition()
        self._busy = 0
        self._working = 0
        self._stopped = False
        self._failure: BaseException | None = None
        self._as_alone: tuple[str, ...] = ()
        self._ordered = False  # systemd orders the two starts
        self._widened = 0  # footprints that were, when the graph was begun
        self._begun = time.monotonic()

    def prepare(self) -> ScriptAlone:
        """Start the first node, and see the script's own run. Raises LabError."""
        first = self._walkers[0]
        first.begin()
        start = first.visit((), [], read=as_seen)
        self._root = states.read(start, None)
        self.known.remember(self._root)
        self._restart()
        alone = self._run(first, [])
        if not alone["done"][SCRIPT_ACTOR]:
            return ScriptAlone.of(start, alone, alone, ordered=False)
        again = self._run(first, [])
        # What it does once kubelet has done may be something else.
        ordered = not any(lane in start["next"] or start["done"][lane] for lane in KUBELETS)
        afterwards = self._run(first, [] if ordered else subjects_turns())
        if why := unlike(alone, again):
            self._doubt(
                [f"two runs of the script alone, from the same start, were not the same: {why}"]
            )
        for view in (self._first.view, alone, afterwards):
            self.known.learn_run(states.places(view))
        self.known.restarts = max(alone["restarts"], afterwards["restarts"]) > 0
        self.known.sequences = {
            SCRIPT_ACTOR: calls_of(alone, SCRIPT_ACTOR),
            **{lane: calls_of(self._first.view, lane) for lane in self.known.subjects},
        }
        self._restart()
        self._doubt(first.doubts)
        self._ordered = ordered
        # kubelet's own order of its steps, where nobody comes between.
        ours = (one["lane"] for one in self._first.view["commands"])
        self._as_alone = tuple(lane for lane in ours if lane in self.known.subjects)
        return ScriptAlone.of(start, alone, afterwards, ordered=ordered)

    @staticmethod
    def _run(walker: Walker, before: Turns) -> View:
        """The script to its end, after other turns, as far as its limits allow.

        Raises UnexercisedError where it cannot go on alone.
        """
        try:
            return walker.visit(
                (),
                [*before, (SCRIPT_ACTOR, ALONE_STEPS)],
                read=as_seen,
                tries=1,
                seconds=ALONE_SECONDS,
                places=True,
            )
        except UnrepeatableError as error:
            raise UnexercisedError(error.what, error.remedy) from error

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
            except BaseException:
                self._stopped = True
                for walker in self._walkers:
                    walker.stop()
                raise
            finally:
                self._stopped = True
                while self._working:
                    self._changed.wait(POLL_SECONDS)
        if self._failure is not None:
            raise self._failure

    def graphs(self) -> tuple[Graph, ...]:
        """What was found so far, a graph a family; what both share is counted in the first."""
        found, doubts = Drawing(
            self.known,
            self._explorer,
            self._root,
            self._reference,
            self._walkers,
            executed=len(self._executed),
            ordered=self._ordered,
        ).graphs()
        self._doubt(doubts)
        return found

    def _doubt(self, why: Iterable[str]) -> None:
        self.doubts += [one for one in why if one not in self.doubts]

    def _restart(self) -> None:
        """A new graph with what is known now; what was executed is not executed again."""
        self._unknown = []
        self._likely.clear()
        self._widened = len(self.known.footprints.widened)
        self._explorer = Explorer(
            self.known.observe(self._root), self._options.reduced, self._options.preemptions
        )

    def _left(self) -> float | None:
        budget = self._options.budget
        return None if budget is None else max(0.0, budget - (time.monotonic() - self._begun))

    def _next(self, walker: Walker) -> tuple[Explorer, Task] | None:
        """Something to do; None when all is done, or nothing more shall be."""
        while not self._stopped:
            if self._left() == 0 and len(self._executed) >= self._options.least:
                return None
            self._tell_all_known()
            if self._options.first and self._harm:
                return None
            if self._unknown:
                task = min(self._unknown, key=partial(self._order, walker))
                self._unknown.remove(task)
                return self._explorer, task
            if self._busy == 0:
                return None
            self._changed.wait(POLL_SECONDS)
        return None

    def _order(self, walker: Walker, task: Task) -> tuple[float, ...]:
        """What is executed first: ends, which are judged; what most harm needs; what is near.

        Orders with one preemption at most are executed to their ends, those preempted in the
        middle before those preempted close to an end: where they do harm, it is found long
        before all is explored.
        """
        likely = self._likely.get(task)
        if likely is None:
            likely = self._likely[task] = rank((*task.path, task.actor), self._as_alone)
        return task not in self._to_judge, *likely, walker.cost(task.path)

    def _tell_all_known(self) -> None:
        """Go on in the graph wherever that was learned; what was not is left for the node."""
        again, self._unknown = self._unknown, []
        self._to_judge.clear()
        while task := again.pop() if again else self._explorer.take():
            target = self.known.infer(self.known.states[task.origin], task.actor)
            if target is None:
                self._unknown.append(task)
                continue
            seen = self.known.observe(target)
            if self._unseen_end(target, seen):
                self._unknown.append(task)
                self._to_judge.add(task)
            else:
                self._told(self._explorer, task, target, seen)

    def _unseen_end(self, state: State, seen: Observation) -> bool:
        """Whether a state must be gone to: an end that leaves what was not seen yet."""
        return not seen.enabled and self.known.left_by(state) not in self.known.endings

    def _told(self, explorer: Explorer, task: Task, target: State, seen: Observation) -> None:
        self.known.remember(target)
        explorer.tell(task, seen)
        if not seen.enabled:
            self._harm |= self._modes(self.known.endings[self.known.left_by(target)])

    def _work(self, walker: Walker) -> None:
        try:
            if walker is not self._walkers[0]:
                walker.begin()
            self._explore_with(walker)
        except BaseException as error:  # noqa: BLE001 - raised again by `run`
            if not isinstance(error, StoppedError):
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
                target = self._make(walker, task, later)
            except (DiffersError, UnrepeatableError) as error:
                # What comes of the same steps is not always the same: nothing can be inferred.
                with self._changed:
                    self._busy -= 1
                    explorer.give_back(task)
                    said = error.what if isinstance(error, LabError) else str(error)
                    self._doubt([said, *walker.doubts])
                    self._stopped = True
                return
            except BaseException:
                with self._changed:
                    self._busy -= 1
                    explorer.give_back(task)
                raise
            with self._changed:
                self._busy -= 1
                self._doubt(walker.doubts)
                self._take_in(explorer, task, target)
                walker.forget(self._explorer.leads_through)
                self._changed.notify_all()

    def _make(self, walker: Walker, task: Task, later: Sequence[Path]) -> State:
        """Make a task's step on a node, and look at the end that it may lead to.

        Returns the state then.
        """
        target = self.known.infer(self.known.states[task.origin], task.actor)
        if target is None:
            target = self._execute(walker, task, later)
        if self._unseen_end(target, self.known.observe(target)):
            path = (*task.path, task.actor)
            read = partial(ending_at, target)
            ending = walker.visit(path, [], read=read, later=later, evidence=True)
            self.known.endings[self.known.left_by(target)] = ending
            self._store.add(End(self.known.left_by(target), ending))
        return target

    def _modes(self, ending: Ending) -> set[str]:
        """The failure modes of an end, of all families that are explored."""
        judged = [self._reference.judge(ending, family) for family in self.known.families]
        return {str(name) for one in judged for name in one.modes if name != HEALTHY}

    def _execute(self, walker: Walker, task: Task, later: Sequence[Path]) -> State:
        """Make a task's step, and then more of the lane's, as long as they teach something."""
        lane, path, state = task.actor, task.path, self.known.states[task.origin]
        target: State | None = None
        while lane in state.waiting:
            following = self.known.infer(state, lane)
            if target is not None and (
                not self._options.reduced or following or self.known.is_end(state)
            ):
                break
            if following is None:
                read = partial(states.read, before=state, lane=lane)
                following = walker.visit(path, [(lane, 1)], read=read, later=later)
                self._learn(state, lane, following)
            path, state = (*path, lane), following
            target = target or state
        assert target is not None  # noqa: S101 - the explorer asks for lanes that wait
        goes_on = any(owner(one) == owner(lane) for one in state.waiting)
        if self._options.reduced and goes_on and not self.known.futures.known(lane, state):
            # To its end, to know what it may still do after what it was answered.
            turns: Turns = [(owner(lane), ALONE_STEPS)]
            whole: View = walker.visit(
                path, turns, read=as_seen, seconds=ALONE_SECONDS, places=True
            )
            self.known.learn_run(states.places(whole))
        return target

    def _learn(self, origin: State, lane: str, target: State) -> None:
        if not self._options.reduced:
            return
        with self._changed:
            self.known.futures.learn(lane, origin.place(lane), target.place(lane))
            try:
                self._store.add(*self.known.effects.learn(origin, lane, target))
            except ContradictionError as error:
                # It is understood wrongly: from now on it touches everything.
                self.known.footprints.widen(error.call)
                self._store.add(*self.known.effects.learn(origin, lane, target))

    def _take_in(self, explorer: Explorer, task: Task, target: State) -> None:
        self._executed.add((task.origin, task.actor))
        if self._widened < len(self.known.footprints.widened) or self.known.futures.grown():
            self.known.remember(target)
            self._restart()
        elif explorer is self._explorer:
            self._told(explorer, task, target, self.known.observe(target))
        self._tell(
            Progress(
                "+".join(self.known.families),
                self._explorer.states,
                self._explorer.open,
                self._explorer.transitions,
                time.monotonic() - self._begun,
                self._left(),
                tuple(sorted(self._harm)),
                len(self._executed),
            )
        )
