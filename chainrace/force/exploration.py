"""Explores all interleavings of one script with kubelet's work on one family, on nodes.

The families are explored one after the other: no command of the one can influence
what kubelet does in the other, so the other family's actor waits until both are done.
"""

import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from chainrace.errors import LabError
from chainrace.force.store import Store, Transition
from chainrace.force.walker import Turns, View, Walker
from chainrace.gate.rules import plain
from chainrace.race import outcome as outcomes
from chainrace.race import state as states
from chainrace.race.explorer import Explorer, Observation, Path, Task
from chainrace.race.force import EndState, Graph
from chainrace.race.outcome import judge_family
from chainrace.race.plan import Plan, as_step
from chainrace.race.rules import RuleSet
from chainrace.race.shortest import plain_paths, plainest
from chainrace.race.state import KUBELETS, SCRIPT, State
from chainrace.race.step import Footprint, footprint, touches
from chainrace.race.trace import Step, Trace
from chainrace.race.trial import Call, Ending

ACTOR_OF = {family: actor for actor, family in KUBELETS.items()}
POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Options:
    """`budget` in seconds; `preemptions` bounds them; `reduced` leaves out equal orders."""

    budget: float | None = None
    preemptions: int | None = None
    reduced: bool = True


@dataclass(frozen=True)
class Progress:
    """How far an exploration is. Seconds; `left` of the budget."""

    family: str
    states: int
    open: int
    transitions: int
    elapsed: float
    left: float | None


@dataclass(frozen=True)
class ScriptAlone:
    """The script's own run, nothing of kubelet's made yet."""

    calls: tuple[Call, ...]
    code: int | None
    changed: bool  # whether the rules were different afterwards


# kubelet works on one family after the other, in an order of its own choice. The lab
# takes starts that begin with IPv4, seven of eight. IPv4 is explored while IPv6 waits;
# IPv6 from where IPv4 is done, as far as IPv6's two look-ups, which stand before that.
FIRST = "ipv4"
LAZY = ("x",)


def lead_for(family: str) -> Turns:
    """What is walked before the root of a family's exploration."""
    return [] if family == FIRST else [("k", None)]


def ending_of(view: View) -> Ending:
    """What is left, from a view with rules and evidence."""
    return Ending(view["words"], tuple(view["journal"]), view["rules"])


def calls_of(view: View, actor: str) -> tuple[Call, ...]:
    """An actor's commands, from a view."""
    calls = (
        Call(one["actor"], one["program"], tuple(one["arguments"])) for one in view["commands"]
    )
    return tuple(call for call in calls if states.actor_of(call) == actor)


class Exploration:
    """One script against one family. `run` until it returns; then `graph`."""

    def __init__(
        self,
        family: str,
        walkers: list[Walker],
        options: Options,
        store: Store,
        tell: Callable[[Progress], None],
    ) -> None:
        self._family = family
        self._kubelet = ACTOR_OF[family]
        (self._other,) = set(KUBELETS) - {self._kubelet}
        self._actors = (self._kubelet, SCRIPT)
        self._walkers = walkers
        self._options = options
        self._store = store
        self._tell = tell
        self._plan = Plan()
        self._states: dict[str, State] = {}
        self._known: dict[tuple[str, str, int], Transition] = {}
        self.endings: dict[str, Ending] = {}
        self._changed = threading.Condition()
        self._busy = 0
        self._working = 0
        self._stopped = False
        self._failure: BaseException | None = None
        self._begun = time.monotonic()

    def prepare(self) -> ScriptAlone:
        """Start the first node, take the reference and the script's own run.

        Raises LabError where kubelet does not initialise on a clean start.
        """
        first = self._walkers[0]
        first.begin()
        start = first.visit((), [])
        self._root = states.read(start, None)
        clean = first.visit((), [(self._kubelet, None), (self._other, None)], evidence=True)
        try:
            self.reference: dict[str, RuleSet] = outcomes.reference_rules(
                start["rules"], ending_of(clean), (self._family,)
            )
        except ValueError as error:
            raise LabError(
                f"no reference can be taken: {error}", "look at kubelet's log"
            ) from error
        self._plan.learn(self._kubelet, calls_of(clean, self._kubelet))
        try:
            alone = first.visit((), [(SCRIPT, None)], tries=1)
        except LabError as error:
            raise LabError(
                f"the script does not come to its end while kubelet waits: {error.what}",
                "run it on the node by hand: ./lab ssh",
            ) from error
        calls = calls_of(alone, SCRIPT)
        self._plan.learn(SCRIPT, calls)
        self._remember(self._root)
        self._restart()
        changed = {
            name: plain(text) != plain(start["rules"].get(name, ""))
            for name, text in alone["rules"].items()
        }
        return ScriptAlone(calls, alone["script_code"], any(changed.values()))

    def run(self) -> None:
        """Explore until nothing is open or the budget is spent. Raises LabError.

        An interruption ends it after the steps under way; all found is kept.
        """
        for transition in self._store.read():
            self._keep(transition)
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
        ends = []
        for key in explorer.ends:
            judged = judge_family(self.reference, self.endings[key], self._family)
            # A schedule counts from kubelet's first step, also of a root further on.
            path = (self._kubelet,) * len(self._root.histories[self._kubelet]) + paths[key]
            schedule = plainest(path, _trace(path, self._states[key]))
            ends.append(EndState(key, schedule, judged))
        costs = [walker.costs for walker in self._walkers]
        lengths = [len(self._plan.sequences[actor][0]) for actor in self._actors]
        return Graph(
            family=self._family,
            states=explorer.states,
            transitions=explorer.transitions,
            merges=explorer.merges,
            swaps=explorer.swaps,
            open=explorer.open,
            interleavings=explorer.interleavings(),
            orders=math.comb(sum(lengths), lengths[0]),
            preemptions=self._options.preemptions,
            differing=sum(walker.differing for walker in self._walkers),
            counts=_summed(cost.counts for cost in costs),
            seconds=_summed(cost.seconds for cost in costs),
            ends=tuple(ends),
        )

    def _observe(self, state: State) -> Observation:
        futures = {actor: self._plan.future(actor, state) for actor in self._actors}
        if self._decided(state, futures):
            return Observation(state.key, {}, futures, {})
        enabled = {
            actor: footprint(call)
            for actor in self._actors
            if (call := state.waiting[actor]) is not None
        }
        runs = {}
        for actor in enabled:
            (other,) = (one for one in self._actors if one != actor)
            run = self._plan.run(actor, state, futures[other])
            # Not beyond the last step that touches the family at all.
            length = max(
                (at for at, one in enumerate(run, 1) if touches(one.touches, self._family)),
                default=len(run),
            )
            runs[actor] = run[:length]
        return Observation(state.key, enabled, futures, runs)

    def _decided(self, state: State, futures: Mapping[str, Footprint]) -> bool:
        """Whether nothing that is left can touch the family: it is as it will stay."""
        return state.ended[self._kubelet] and not touches(futures[SCRIPT], self._family)

    def _remember(self, state: State) -> None:
        self._states.setdefault(state.key, state)

    def _keep(self, transition: Transition) -> None:
        self._remember(transition.target)
        key = (transition.origin, transition.actor, transition.asked)
        self._known[key] = transition
        if transition.ending is not None:
            self.endings[transition.target.key] = transition.ending

    def _made(self, transition: Transition) -> list[Step]:
        """The steps of a transition."""
        if transition.made == 0:
            return []
        history = transition.target.histories[transition.actor]
        return [as_step(made.call) for made in history[-transition.made :]]

    def _restart(self) -> None:
        """A new graph with what is known now; what was walked is not walked again."""
        self._explorer = Explorer(
            self._observe(self._root), self._options.reduced, self._options.preemptions
        )

    def _left(self) -> float | None:
        budget = self._options.budget
        return None if budget is None else budget - (time.monotonic() - self._begun)

    def _next(self, walker: Walker) -> tuple[Explorer, Task] | None:
        """Something to do; None when all is done, or nothing more shall be."""
        while not self._stopped:
            left = self._left()
            if left is not None and left <= 0:
                return None
            task = self._explorer.take(walker.at or ())
            if task is None:
                if self._busy == 0:
                    return None
                self._changed.wait(POLL_SECONDS)
                continue
            known = self._known.get((task.origin, task.actor, task.steps))
            if known is None:
                return self._explorer, task
            self._explorer.tell(task, self._made(known), self._observe(known.target))
        return None

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
                keep = len(explorer.to_try(task.origin)) > 1
            try:
                done, learned = self._make(walker, task, keep=keep)
            except BaseException:
                with self._changed:
                    self._busy -= 1
                    explorer.give_back(task)
                raise
            with self._changed:
                self._busy -= 1
                self._take_in(explorer, task, done, learned=learned)
                walker.forget(self._explorer.leads_through)
                self._changed.notify_all()

    def _make(self, walker: Walker, task: Task, *, keep: bool) -> tuple[Transition, bool]:
        """Make a task's steps on a node; whether an actor did what was not known of it."""
        origin = self._states[task.origin]
        view = walker.visit(
            task.path,
            [(task.actor, task.steps)],
            keep=keep,
            check=lambda view: _continues(view, origin),
        )
        state = states.read(view, origin)
        made = view["made"][0][1]
        path = (*task.path, *(task.actor,) * made)
        learned = False
        for actor in self._actors:
            if not self._plan.knows(actor, state):
                whole = walker.visit(path, [(actor, None)])
                self._plan.learn(actor, calls_of(whole, actor))
                learned = True
        ending = None
        if not self._observe(state).enabled and state.key not in self.endings:
            ending = ending_of(walker.visit(path, [], evidence=True))
        return Transition(task.origin, task.actor, task.steps, made, state, ending), learned

    def _take_in(
        self, explorer: Explorer, task: Task, transition: Transition, *, learned: bool
    ) -> None:
        self._keep(transition)
        self._store.add(transition)
        if learned:
            self._restart()
        elif explorer is self._explorer:
            explorer.tell(task, self._made(transition), self._observe(transition.target))
        self._tell(
            Progress(
                self._family,
                self._explorer.states,
                self._explorer.open,
                self._explorer.transitions,
                time.monotonic() - self._begun,
                self._left(),
            )
        )


def _trace(path: Path, end: State) -> Trace:
    """The trace of a path that leads to a state."""
    left = {actor: iter(made) for actor, made in end.histories.items()}
    trace = Trace()
    for actor in path:
        trace = trace.after(actor, [as_step(next(left[actor]).call)])
    return trace


def _continues(view: View, origin: State) -> None:
    states.read(view, origin)


def _summed(parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    total: dict[str, Any] = {}
    for part in parts:
        for name, value in part.items():
            total[name] = total.get(name, 0) + value
    return total
